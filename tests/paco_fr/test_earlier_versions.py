"""What an earlier version wrote, with settings that are gone by now, is read, continued, or refused by name.

``fixtures/earlier_version`` was written before those settings went: ``finished``, a run of eight steps by version 0.1.0,
whose belief had blocks of its own, which are gone; ``trunk``, the same with a belief in the trunk, by a later version;
``unfinished``, that one stopped after four steps. All were trained on the pictures of :func:`smooth_faces`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from paco_eval.encoders import load_encoder as load_by_name
from paco_fr.checkpoint import load_encoder, load_objective, read_card, weight_hash
from paco_fr.config import REMOVED, UNREAD, load_recipe, parse_config
from paco_fr.export import export_half
from paco_fr.train.pretrain import pretrain
from paco_fr.train.resume import state_files
from paco_fr.utils.errors import PacoError

WRITTEN = Path(__file__).parent / "fixtures" / "earlier_version"
WRITERS = {
    "finished": [0.229476, -1.52898, 0.030404, 1.265898, 0.181884, -1.495251, -0.003424, 1.313509],
    "trunk": [0.274444, -1.553008, 0.04636, 1.230239, 0.229273, -1.522768, 0.014574, 1.276842],
}
"""Features of the first two patches of the first picture below, by the version that wrote the checkpoint."""


def features(encoder: Any) -> torch.Tensor:
    found: torch.Tensor = encoder.forward_features(torch.linspace(-2, 2, 2 * 3 * 16 * 16).view(2, 3, 16, 16))
    return found


def written(tmp_path: Path, what: str, **changes: dict[str, Any]) -> Path:
    """Return a copy of a run whose card has these settings changed."""
    folder = shutil.copytree(WRITTEN / what, tmp_path / what)
    if changes:
        card = json.loads((folder / "card.json").read_text())
        card = {name: value for name, value in card.items() if "checksum" not in name}  # as those of 0.1.0
        for section, values in changes.items():
            card["config"][section] |= values
        (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_the_fixtures_have_the_settings_that_are_gone():
    first, later = (json.loads((WRITTEN / what / "card.json").read_text())["config"] for what in WRITERS)
    for key, left in REMOVED.items():
        section, field = key.split(".")
        assert first[section][field] == left
    assert first["run"]["fused"] == "auto"
    for key in set(UNREAD) - {"run.fused"}:
        section, field = key.split(".")
        assert field in later[section]


@pytest.mark.parametrize(("what", "known"), [("finished", "ba23371eb656b1a5"), ("trunk", "f5a5cebe9b1069ff")])
def test_a_checkpoint_gives_its_features(what, known):
    encoder, card, _ = load_encoder(WRITTEN / what)
    assert weight_hash(encoder) == card["encoder_hash"] == known
    torch.testing.assert_close(
        features(encoder)[0, :2].flatten(), torch.tensor(WRITERS[what]), atol=1e-5, rtol=1e-4
    )


def test_a_checkpoint_gives_its_objective_but_a_belief_that_is_gone():
    model, config = load_objective(WRITTEN / "trunk")
    assert model.codebook.tokens.shape == (16, 3, 48) and config.codebook.content == "structure"
    with pytest.raises(PacoError, match=r"belief\.place: Input should be 'trunk' or 'two-pass'"):
        load_objective(WRITTEN / "finished")


def test_a_rival_of_then_keeps_its_settings_but_those_of_a_belief_that_it_never_had():
    given = json.loads((WRITTEN / "finished" / "card.json").read_text())["config"]
    assert parse_config(given | {"objective": "mae"}, "test").belief.place == "trunk"
    with pytest.raises(PacoError, match=r"belief\.place"):
        parse_config(given, "test")


def test_an_unfinished_run_ends_as_it_would_have(faces, tmp_path, monkeypatch):
    """The bits are equal on the machine that wrote the fixture; elsewhere sums round otherwise."""
    monkeypatch.chdir(Path(faces).parent)  # the run names its pictures as "faces"
    _, config = read_card(WRITTEN / "trunk")
    said: list[str] = []
    out = pretrain(config, written(tmp_path, "unfinished"), resume=True, say=said.append)
    assert "at step 4 of 8" in said[1] and not state_files(out)
    old, new = (
        json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
        for folder in (WRITTEN / "trunk", out)
    )
    for name in ("reconstruction", "belief", "spatial", "learning_rate"):  # health is that of one step now
        assert new[name] == pytest.approx(old[name], rel=1e-4), name
    torch.testing.assert_close(
        features(load_encoder(out)[0]), features(load_encoder(WRITTEN / "trunk")[0]), atol=1e-4, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"codebook": {"selection": "gumbel"}}, r'codebook\.selection: no longer a setting, what is done is "soft"'),
        ({"codebook": {"temperature_end": 0.1}}, r"codebook\.temperature_end: no longer a setting"),
        ({"loss": {"codes": 0.5}}, r"loss\.codes: no longer a setting"),
        ({"codebook": {"scope": "region"}}, r"codebook\.scope: Input should be 'position' or 'shared'"),
        ({"belief": {"place": "separate"}}, r"belief\.place: Input should be"),
    ],
)  # fmt: skip
def test_of_a_run_with_what_is_no_longer_done_the_encoder_is_left(tmp_path, changes, named):
    folder = written(tmp_path, "trunk", **changes)
    assert torch.equal(features(load_encoder(folder)[0]), features(load_encoder(WRITTEN / "trunk")[0]))
    for rebuild in (load_objective, read_card):
        with pytest.raises(PacoError, match=named):
            rebuild(folder)
    half = export_half(folder, tmp_path / "half")
    assert (
        json.loads((half / "card.json").read_text())["config"]
        == json.loads((folder / "card.json").read_text())["config"]
    )
    encoder = load_by_name(f"paco:{folder}")
    ((section, (item,)),) = ((section, values.items()) for section, values in changes.items())
    assert f"--set {section}.{item[0]}=" in encoder.facts["retrain"].replace("'", "")
    with pytest.raises(PacoError, match=named):
        encoder.diagnostics(torch.zeros(1, 3, 16, 16))


def test_a_run_of_an_objective_that_is_gone_keeps_its_name(tmp_path):
    folder = written(tmp_path, "trunk", codebook={})
    card = json.loads((folder / "card.json").read_text())
    card["objective"] = card["config"]["objective"] = "simmim-spatial"
    (folder / "card.json").write_text(json.dumps(card))
    facts = load_by_name(f"paco:{folder}").facts
    assert facts["method"] == "simmim-spatial/tiny" and "--objective simmim-spatial" in facts["retrain"]
    with pytest.raises(PacoError, match="objective: Input should be"):
        load_objective(folder)


def test_a_recipe_may_say_what_is_done_anyhow_and_nothing_else(tmp_path):
    lines = 'name = "tiny"\n[codebook]\nselection = "soft"\n[run]\nfused = "on"\n'
    (tmp_path / "mine.toml").write_text(lines)
    assert load_recipe(str(tmp_path / "mine.toml")) == parse_config({}, "defaults")
    (tmp_path / "mine.toml").write_text(lines.replace("soft", "gumbel"))
    with pytest.raises(
        PacoError, match=r"codebook\.selection: no longer a setting.* Take it out of a recipe"
    ):
        load_recipe(str(tmp_path / "mine.toml"))
