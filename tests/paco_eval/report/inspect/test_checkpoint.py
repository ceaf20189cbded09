"""What a run shows of itself, from arrays to files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from paco_eval.cli import main
from paco_eval.report.inspect.inpainting import fill
from paco_eval.report.page.inside import look_inside
from paco_eval.report.plots.pictures import picture_rows
from paco_eval.rows.artefacts import Pretraining
from paco_fr.data.open import FacesInMemory
from paco_fr.model.diagnostics import belief_attention, masked_batch, nearest_tokens
from paco_fr.train.pretrain import pretrain
from paco_fr.utils.errors import PacoError
from tests.paco_eval.evaluation.test_codebook import checkpoint
from tests.paco_eval.evaluation.test_derived import face_records, pointless_records
from tests.paco_fr.conftest import batch_of, config_on, small_config, smooth_faces
from tests.paco_fr.conftest import faces as faces  # a fixture
from tests.paco_fr.model.test_paco import model_of


@pytest.mark.parametrize("place", ["trunk", "two-pass"])
def test_attention_is_that_of_the_last_block_before_the_belief(place):
    config = small_config(belief={"place": place}, decoder={"depth": 2})
    model, images = model_of(config).eval(), batch_of(config).images
    batch = masked_batch(images, config)
    block, seen = model.decoder.blocks[-1].attn, []
    block.fused_attn = False  # so that its own weights pass through a module that can be watched
    block.attn_drop.register_forward_hook(lambda *call: seen.append(call[2].mean(1)))
    found = belief_attention(model, batch)
    for picture, (order, looked) in enumerate(zip(batch.places, seen[0], strict=True)):
        torch.testing.assert_close(found[picture][order][:, order], looked)
    torch.testing.assert_close(found.sum(-1), torch.ones(8, 16))


@pytest.mark.parametrize("content", ["raw", "structure"])
def test_nearest_tokens_come_nearest_first(content):
    config = small_config(codebook={"content": content})
    model = model_of(config).eval()
    batch = masked_batch(batch_of(config).images, config)
    cells = torch.tensor([[3, 9]]).expand(8, -1)
    tokens, distances = nearest_tokens(model, batch, cells, 3)
    assert tokens.shape == (8, 2, 3, 192) and (distances.diff(dim=-1) >= 0).all()
    if content == "raw":
        own = model.codebook.tokens[9]
        patch = batch.images[0, :, 16:24, 8:16].permute(1, 2, 0).reshape(-1)
        best = (own - patch).square().mean(-1)
        torch.testing.assert_close(tokens[0, 1, 0], own[best.argmin()])
        torch.testing.assert_close(distances[0, 1, 0], best.min())


@pytest.mark.parametrize("changes", [
    {}, {"codebook": {"scope": "shared", "content": "structure"}},
])  # fmt: skip
def test_sheets_over_training_and_the_atlas_reach_the_report(faces, tmp_path, changes):
    out = pretrain(config_on(faces, **changes, optimiser={"presentations": 160}), tmp_path / "pretrain/run")
    assert [path.stem for path in sorted((out / "sheets").iterdir())] == ["000000001", "000000004"]
    first, last = (np.load(path) for path in (out / "sheets/000000001.npz", out / "reconstruction.npz"))
    assert (first["original"] == last["original"]).all()
    if "codebook" not in changes:  # else what is hidden shows tokens, which have learned
        truth = last["original"].astype(float)
        assert abs(last["reconstructed"] - truth).mean() < abs(first["reconstructed"] - truth).mean()
    problems: list[str] = []
    (found,) = look_inside([("", "run", Pretraining("run", out))], problems.append, most=0)
    titles = [sheet.title for sheet in found.sheets]
    assert not problems and titles == ["Learning to fill in", "The codebook on the face"]
    steps = [name for name, _ in found.sheets[0].rows]
    assert steps == ["face", "hidden", "step 1", "step 4", "at the end"]
    assert [chart.name for chart in found.charts] == ["run-losses", "run-health"]


def test_an_untrained_run_has_no_curves_and_no_problem(faces, tmp_path):
    out = pretrain(config_on(faces, objective="untrained"), tmp_path / "run")
    problems: list[str] = []
    (found,) = look_inside([("", "run", Pretraining("run", out))], problems.append, most=0)
    assert not problems and [sheet.title for sheet in found.sheets] == ["Reconstruction"] and not found.charts


@pytest.mark.parametrize("objective", ["paco", "mae"])
def test_a_checkpoint_is_described(tmp_path, monkeypatch, objective):
    pool = FacesInMemory(smooth_faces(8, 32), ("arcface",) * 8, "test", ())
    monkeypatch.setattr("paco_eval.report.inspect.checkpoint.crop_pool", lambda config: pool)
    monkeypatch.setattr(
        "paco_eval.report.inspect.checkpoint.load_source", lambda source: face_records().select(range(3))
    )
    folder = checkpoint(tmp_path / "run", objective=objective)
    done = CliRunner().invoke(main, ["data", "describe", f"paco:{folder}", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    made = {path.stem for path in (tmp_path / "out/checkpoint-run").glob("*.png")}
    assert made == ({"masks", "attention", "filled", "tokens"} if objective == "paco" else {"masks"})
    (folder / "card.json").write_text(json.dumps({}))
    failed = CliRunner().invoke(main, ["data", "describe", f"paco:{folder}", "--out", str(tmp_path / "out")])
    assert failed.exit_code == 2 and "not a checkpoint card" in failed.output


def test_rows_of_pictures_are_as_many_as_named():
    figure = picture_rows({"a": smooth_faces(3, 8), "b": smooth_faces(3, 8)}, title="two")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_covered_places_are_hidden_and_filled_and_the_others_stay():
    config = small_config()
    model = model_of(config).eval()
    filled = fill(model, config, face_records().select(range(3)), level=2)
    clean, covered, hidden, tokens, decoded = filled.rows.values()
    assert list(filled.rows) == ["clean", "surgical mask", "hidden", "believed tokens", "decoded"]
    assert clean.shape == decoded.shape == (3, 32, 32, 3) and 0 <= filled.right <= 100
    side, inside = 32 // config.encoder.grid, (clean != covered).any(-1)
    touched = inside.reshape(3, config.encoder.grid, side, -1, side).any((2, 4))
    whole = np.kron(touched, np.ones((1, side, side), dtype=bool))
    assert 0 < touched.mean() < 1
    for row in (hidden, tokens, decoded):
        assert (row[~whole] == covered[~whole]).all() and (row[whole] != covered[whole]).any()
    assert (covered[~whole] == clean[~whole]).all(), "what the belief sees is clean"
    with pytest.raises(PacoError, match="landmarks"):
        fill(model, config, pointless_records().select(range(3)))
