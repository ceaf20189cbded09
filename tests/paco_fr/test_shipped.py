"""The encoders that come with the package: small, complete, trained alike, and what their cards say."""

from __future__ import annotations

import pytest

from paco_eval.encoders import load_encoder
from paco_eval.testing import check_encoder
from paco_fr.checkpoint import SHIPPED, read_card, shipped, weight_hash
from paco_fr.utils.files import file_checksum

NAMES = ["mae-tiny", "paco-tiny", "simmim-tiny"]


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
    assert card["presentations"] >= 1_000_000 and card["weights"] == "fp16"
    assert card["weights_checksum"] == file_checksum(folder / "model.safetensors")
    text = (folder / "README.md").read_text(encoding="utf-8")
    for words in (
        config.data.source,
        "## Limits of use",
        "| pose/synthetic v2 | frozen |",
        "1,000,000 times",
    ):
        assert words in text


def test_shipped_encoders_differ_in_their_objective_alone():
    configs = [read_card(SHIPPED / name)[1] for name in NAMES]
    assert len({config.model_copy(update={"objective": "mae"}).hash for config in configs}) == 1
    assert len({read_card(SHIPPED / name)[0]["data_fingerprint"] for name in NAMES}) == 1
