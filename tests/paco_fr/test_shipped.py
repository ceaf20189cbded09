"""The encoders that come with the package: small, complete, trained alike, and what their cards say."""

from __future__ import annotations

import pytest

from paco_eval.encoders import load_encoder
from paco_eval.testing import check_encoder
from paco_fr.checkpoint import SHIPPED, read_card, shipped, weight_hash
from paco_fr.utils.files import file_checksum

NAMES = ["mae-tiny", "paco-tiny", "simmim-tiny"]
SHOWN = 4_000_000


def test_these_are_shipped():
    assert shipped() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_encoder_loads_by_its_bare_name_and_conforms(name):
    encoder = load_encoder(name)
    check_encoder(encoder)
    card, _ = read_card(SHIPPED / name)
    assert encoder.facts["method"] == name and card["encoder_hash"] == weight_hash(encoder.model)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_encoder_is_small_and_its_card_is_whole(name):
    folder = SHIPPED / name
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000
    card, config = read_card(folder)
    assert card["objective"] == name.removesuffix("-tiny") and card["licence"] == "Apache-2.0"
    assert card["presentations"] == SHOWN and card["weights"] == "fp16"
    assert card["weights_checksum"] == file_checksum(folder / "model.safetensors")
    text = (folder / "README.md").read_text(encoding="utf-8")
    for words in (
        config.data.source,
        "## Limits of use",
        "| pose/synthetic v2 | frozen |",
        f"{SHOWN:,} times",
    ):
        assert words in text


def test_shipped_paco_and_mae_differ_in_their_objective_alone():
    cards = [read_card(SHIPPED / name) for name in ("paco-tiny", "mae-tiny")]
    assert len({config.model_copy(update={"objective": "mae"}).hash for _, config in cards}) == 1
    assert len({card["data_fingerprint"] for card, _ in cards}) == 1
