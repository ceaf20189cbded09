"""The commands from photographs to weights that others load: pack, pretrain, export."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from paco_eval.cli import main
from paco_eval.rows.store import write_row
from paco_fr.checkpoint import load_encoder, weight_hash
from paco_fr.train.signals import Interrupted
from tests.fixtures.made_rows import make_row

SETTINGS = {
    "encoder.size": 32, "encoder.dim": 24, "encoder.heads": 2, "encoder.depth": 1, "data.crops": {"whole": 1.0},
    "decoder.dim": 24, "decoder.heads": 2, "codebook.tokens": 8,
}  # fmt: skip
RUN = {"optimiser.batch": 8, "optimiser.presentations": 16}


def options(values: dict[str, object]) -> list[str]:
    return [word for key, value in values.items() for word in ("--set", f"{key}={json.dumps(value)}")]


def call(*words: object) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    (tmp_path / "faces").mkdir()
    for index in range(12):
        shade = np.full((40, 40, 3), 20 * index, np.uint8)
        Image.fromarray(shade).save(tmp_path / "faces" / f"{index:02d}.png")
    said = call("data", "pack", tmp_path / "faces", tmp_path / "packed", "--workers", 1, *options(SETTINGS))
    assert "12 pictures of 32 px in 1 shards" in said and "0 skipped" in said
    return tmp_path / "packed"


def test_from_a_folder_to_weights_for_timm(packed, tmp_path):
    settings = options(SETTINGS | RUN)
    said = call("pretrain", "--data", packed, "--dry-run", *settings)
    assert "12 pictures packed" in said and "2 steps of 8 pictures" in said
    said = call("pretrain", "--data", packed, "--objective", "mae", "--out", tmp_path / "run", *settings)
    assert "peak of 0.00025" in said and "Checkpoint:" in said
    assert "timm.create_model" in call("export", tmp_path / "run", "--to", "timm")
    assert "Not measured for this card" in (tmp_path / "run" / "timm" / "README.md").read_text()

    encoder, _, config = load_encoder(tmp_path / "run")
    row, items = make_row(weight_hash=weight_hash(encoder), pixel_hash=config.pixels.hash)
    write_row(tmp_path / "scores", row, items)
    call("export", tmp_path / "run", "--to", "timm", "--scores", tmp_path / "scores")
    assert "| pose/synthetic v1 | frozen |" in (tmp_path / "run" / "timm" / "README.md").read_text()
    half = ["export", tmp_path / "run", "--to", "half", "--scores", tmp_path / "scores"]
    result = CliRunner().invoke(
        main, list(map(str, half))
    )  # rounded weights are others, measured by themselves
    assert result.exit_code == 2 and "none of 1 rows is a score of these weights" in result.output
    assert f"paco-eval evaluate paco:{tmp_path / 'run' / 'half'} pixels" in result.output


def test_a_stop_says_what_continues_and_exits_as_the_signal_would(packed, tmp_path, monkeypatch):
    def stopped(config, out, *, command, **_):
        raise Interrupted(f"saved. Continue: {command}", signal.SIGTERM)

    monkeypatch.setattr("paco_fr.train.pretrain.pretrain", stopped)
    typed = ["/somewhere/paco-eval", "pretrain", "--data", "my faces"]
    for words in (typed, [*typed, "--resume"]):
        monkeypatch.setattr("sys.argv", words)
        result = CliRunner().invoke(main, ["pretrain", "--data", str(packed), *options(SETTINGS)])
        assert result.exit_code == 143
        assert "Continue: paco-eval pretrain --data 'my faces' --resume\n" in result.output


def test_wrong_calls_are_told_in_a_line(packed, tmp_path):
    result = CliRunner().invoke(main, ["pretrain", "--data", str(packed), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2 and "packed with encoder.size 32, this run asks for 64" in result.output
    result = CliRunner().invoke(main, ["export", str(tmp_path), "--to", "timm"])
    assert result.exit_code == 2 and "card.json is missing" in result.output
