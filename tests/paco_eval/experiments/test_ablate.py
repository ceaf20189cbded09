"""A micro grid, from settings to a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from paco_eval.cli import main
from paco_eval.experiments.ablate import ablate, ablation_table, variants
from paco_fr.baselines import build_objective
from paco_fr.train.pretrain import pretrain
from paco_fr.train.signals import Interrupted
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import owned_folder
from tests.paco_eval.conftest import blob_task
from tests.paco_fr.conftest import SMALL, smooth_faces


@pytest.fixture
def fixed(tmp_path: Path) -> dict:
    folder = tmp_path / "faces"
    folder.mkdir()
    for index, picture in enumerate(smooth_faces(24, 40)):
        Image.fromarray(picture).save(folder / f"{index:03d}.png")
    flat = {f"{section}.{key}": value for section, part in SMALL.items() for key, value in part.items()}
    return {**flat, "data.crops": {"whole": 1.0}, "data.source": str(folder), "optimiser.presentations": 64}


def test_a_grid_is_all_combinations_or_one_value_at_a_time():
    vary = {"codebook.candidates": [1, 4], "objective": ["paco", "mae"], "data.flip": [False]}
    grid = variants("tiny", vary, 2, fixed={"seed": 5})
    assert [v.method for v in grid] == [
        "paco/tiny, codebook.candidates=1, data.flip=false", "mae/tiny, codebook.candidates=1, data.flip=false",
        "paco/tiny, codebook.candidates=4, data.flip=false", "mae/tiny, codebook.candidates=4, data.flip=false",
    ]  # fmt: skip
    assert [config.seed for config in grid[0].seeds] == [5, 6]
    assert grid[0].seeds[0].codebook.candidates == 1 and not grid[0].seeds[0].data.flip
    alone = variants("tiny", vary, 1, one_at_a_time=True)
    assert [v.label for v in alone] == [
        "", "codebook.candidates=1", "codebook.candidates=4", "objective=paco", "objective=mae", "data.flip=false",
    ]  # fmt: skip
    assert len({v.folder(Path("out"), v.seeds[0]) for v in alone}) == 6
    both = {"codebook.candidates": 8, "masking.ratio": 0.75}
    told = variants("tiny", {"codebook.candidates": [8]}, 1, one_at_a_time=True, lines=[both])
    assert [v.label for v in told] == [
        "",
        "codebook.candidates=8",
        "codebook.candidates=8,masking.ratio=0.75",
    ]
    assert (told[2].seeds[0].codebook.candidates, told[2].seeds[0].masking.ratio) == (8, 0.75)


@pytest.mark.parametrize(
    ("vary", "named"),
    [
        ({"codebook.candidate": [1]}, r"codebook\.candidate"),
        ({"masking.ratio": [0.5, 0.999]}, "at least one must stay visible"),
        ({"codebook.candidates": [4, 8], "codebook.tokens": [64, 5]}, "candidates 8 exceed tokens 5"),
        ({"codebook.selection": ["soft", "gumbel"]}, r"codebook\.selection: no longer a setting"),
    ],
)
def test_an_impossible_cell_is_refused_before_anything_is_trained(vary, named):
    with pytest.raises(PacoError, match=named):
        variants("tiny", vary, 1)


def test_a_micro_grid_is_trained_measured_and_laid_out_and_goes_on(tmp_path, fixed, monkeypatch):
    grid = variants("tiny", {"objective": ["paco", "simmim", "untrained"]}, 2, fixed=fixed)
    tasks, said = [blob_task("pose"), blob_task("classification")], []
    real, runs = pretrain, []

    def stopped(config, folder, **settings):
        runs.append(folder)
        if len(runs) == 3:
            raise Interrupted("Stopped at step 1", 15)
        return real(config, folder, **settings)

    monkeypatch.setattr("paco_eval.experiments.ablate.pretrain", stopped)
    with pytest.raises(Interrupted):
        ablate(grid, tasks, out=tmp_path / "out", say=said.append)
    trained = runs[0] / "model.safetensors"
    before = trained.stat().st_mtime_ns
    assert ablate(grid, tasks, out=tmp_path / "out", say=said.append) == 0
    assert trained.stat().st_mtime_ns == before and any("already measured" in line for line in said)
    table = ablation_table(grid, tmp_path / "out")
    assert [line.label for line in table.lines] == ["paco/tiny", "simmim/tiny", "untrained/tiny"]
    assert all(line.note == "mean of 2 seeds" for line in table.lines)
    assert [column.metric for column in table.columns] == [
        "accuracy", "mae", "images/s", "seconds", "parameters, millions",
    ]  # fmt: skip
    rows = [json.loads(p.read_text()) for p in (tmp_path / "out/rows").glob("*.json")]
    assert len(rows) == 3 * 2 * 2
    own = [
        r["metrics"]["mae"]["value"]
        for r in rows
        if r["method"] == "simmim/tiny" and r["task"] == "pose/blobs"
    ]
    cell = table.lines[1].cells[1]
    assert cell.value == pytest.approx(np.mean(own)) and cell.low <= cell.value <= cell.high
    parameters = sum(p.numel() for p in build_objective(grid[1].seeds[0]).parameters())
    assert table.lines[1].cells[4].value == pytest.approx(parameters / 1e6)
    assert table.lines[1].cells[2].value > 0 and table.lines[2].cells[2] is None
    with (tmp_path / "out/ablation.csv").open() as file:
        assert {line["encoder"] for line in csv.DictReader(file)} == {line.label for line in table.lines}
    assert (tmp_path / "out/plots/ablation-pose-blobs.png").stat().st_size > 5000
    assert "| paco/tiny" in (tmp_path / "out/ablation.md").read_text()
    told = (tmp_path / "out/differences.md").read_text()
    assert "### Families, difference to paco/tiny" in told and "### Difference to paco/tiny" in told
    assert "| simmim/tiny" in told and "| paco/tiny |" not in told
    with (tmp_path / "out/differences.csv").open() as file:
        apart = {line["encoder"]: float(line["value"]) for line in csv.DictReader(file)
                 if (line["task"], line["metric"]) == ("pose/blobs", "mae")}  # fmt: skip
    paco = next(line for line in table.lines if line.label == "paco/tiny").cells[1].value
    assert apart["simmim/tiny"] == pytest.approx(cell.value - paco)
    with (tmp_path / "out/trials.csv").open() as file:
        trials = {
            line["encoder"]: float(line["value"]) for line in csv.DictReader(file) if line["metric"] == "mae"
        }
    kept = {label: [r["val_score"] for r in rows if (r["method"], r["main_metric"]) == (label, "mae")]
            for label in trials}  # fmt: skip
    assert trials == pytest.approx({label: np.mean(values) for label, values in kept.items()})


def test_a_failing_cell_is_told_and_the_others_go_on(tmp_path, fixed):
    grid = variants("tiny", {"codebook.tokens": [25, 8]}, 1, fixed={**fixed, "optimiser.presentations": 16})
    said: list[str] = []
    assert ablate(grid, [blob_task("pose")], out=tmp_path / "out", say=said.append) == 1
    assert any("codebook.tokens 25 exceed the 24 patches" in line for line in said)
    (line,) = ablation_table(grid, tmp_path / "out").lines
    assert line.label == "paco/tiny, codebook.tokens=8" and line.note == "1 seed, observed"


def test_several_processes_share_a_grid(tmp_path, fixed):
    """A cell that another trains is left to it, and rows wait for their turn."""
    grid = variants("tiny", {"codebook.tokens": [8, 4]}, 1, fixed={**fixed, "optimiser.presentations": 16})
    out, said = tmp_path / "out", []
    with owned_folder(grid[0].folder(out, grid[0].seeds[0])), owned_folder(out):
        other = Thread(target=lambda: ablate(grid, [blob_task("pose")], out=out, say=said.append))
        other.start()
        other.join(timeout=0.2)
        while not (grid[1].folder(out, grid[1].seeds[0]) / "card.json").exists():
            assert other.is_alive()
            other.join(timeout=0.2)
        assert not list(out.glob("rows/*.json"))
    other.join()
    assert "codebook.tokens=8, seed 0: another process is at it" in said
    (line,) = ablation_table(grid, out).lines
    assert line.label == "paco/tiny, codebook.tokens=4" and not (out / "differences.md").exists()


def test_the_command_shows_its_grid_and_refuses_what_it_cannot_read():
    runner = CliRunner()
    shown = runner.invoke(main, ["ablate", "--vary", "codebook.candidates=1,4,8", "--seeds", "3", "--dry-run",
                                 "--presentations", "500", "--tasks", "pose/synthetic"])  # fmt: skip
    assert shown.exit_code == 0
    assert "paco/tiny, codebook.candidates=8  x 3 seeds" in shown.output
    assert "9 runs of 500 pictures" in shown.output and "Tasks: pose/synthetic" in shown.output
    assert runner.invoke(main, ["ablate", "--vary", "codebook.candidates"]).exit_code == 2
    alone = runner.invoke(
        main,
        ["ablate", "--one-at-a-time", "--line", "codebook.scope=shared,codebook.candidates=1", "--dry-run"],
    )
    assert "2 runs" in alone.output
    assert "--line" in runner.invoke(main, ["ablate", "--dry-run"]).output
    wrong = runner.invoke(main, ["ablate", "--vary", "codebook.token=8,16", "--dry-run"])
    assert wrong.exit_code == 2 and "codebook.token" in wrong.output
