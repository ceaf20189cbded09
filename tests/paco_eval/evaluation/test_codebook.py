"""The health of a codebook, from a checkpoint to a row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from paco_eval.encoders import load_encoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import evaluate_all, measure
from paco_eval.features.batches import batches_of, prepared_batches
from paco_eval.rows.store import read_items
from paco_fr.checkpoint import load_objective, save_checkpoint
from paco_fr.model.diagnostics import diagnose, masked_batch
from tasks.kinds import codebook
from tasks.registry import all_tasks
from tasks.testing import check_task
from tests.paco_eval.conftest import blob_task
from tests.paco_fr.conftest import batch_of, small_config
from tests.paco_fr.model.test_paco import model_of

TASK = replace(
    all_tasks()["codebook/synthetic"], reader="tests.paco_eval.conftest:blob_records", reader_options={},
    crop=blob_task("pose").crop,
)  # fmt: skip


def checkpoint(folder: Path, **changes) -> Path:
    config = small_config(**changes)
    folder.mkdir()
    save_checkpoint(folder, model_of(config), config, {"pretrain_seed": 0})
    return folder


@pytest.mark.parametrize("scope", ["position", "shared"])
def test_a_row_says_what_a_plain_count_says(tmp_path, scope):
    encoder = load_encoder(f"paco:{checkpoint(tmp_path / 'run', codebook={'scope': scope})}")
    data = Data.load(TASK, None)
    (row,) = measure(encoder, data, out=tmp_path)
    units = data.views["all"][0]
    held = np.flatnonzero(units.labels["split"] == "test").tolist()
    train = data.views["all"][1].score[0].fit.indices.tolist()
    model, config = load_objective(tmp_path / "run")
    read = {
        name: diagnose(
            model,
            config,
            torch.cat([p for _, p, _ in prepared_batches(units, batches_of(who), encoder.pixels)]),
        )
        for name, who in (("train", train), ("test", held))
    }
    said, mean = read["test"], read["train"]["matter"].mean(0)
    truth = said["nearest"].gather(1, said["hidden"])
    assert row.metrics["belief_accuracy"].value == pytest.approx(
        100 * (said["believed"] == truth).float().mean().item(), abs=1e-4
    )
    matter = said["matter"].gather(1, said["hidden"][..., None].expand_as(said["tokens"]))
    own, other = (said["tokens"] - matter).square().sum(-1), (mean[said["hidden"]] - matter).square().sum(-1)
    assert row.metrics["nearer_than_mean"].value == pytest.approx(
        100 * (own < other).float().mean().item(), abs=1e-3
    )
    total = 8 * (16 if scope == "position" else 1)
    used = 100 * len(said["nearest"].unique()) / total
    assert row.metrics["tokens_used"].value == pytest.approx(used)
    assert row.metrics["tokens_dead"].value == pytest.approx(100 - used)
    assert row.metrics["perplexity"].low is None and row.metrics["belief_accuracy"].low is not None
    items = read_items(tmp_path / "rows" / f"{row.key}.json")
    entropy = codebook.position_entropy(items)
    assert entropy.shape == (16,) and np.exp(entropy).mean() / 8 * 100 == pytest.approx(
        row.metrics["perplexity"].value
    )
    assert row.n_expected == row.n_scored == 18 and row.main_metric == "belief_accuracy"
    assert measure(encoder, data, out=tmp_path) == []


def test_the_report_maps_entropy_over_the_face(tmp_path):
    from paco_eval.analysis.significance import registered_metrics
    from paco_eval.report.charts.scores import Items, table_charts
    from paco_eval.report.tables.table import family_tables
    from paco_eval.rows.store import load_rows

    encoder = load_encoder(f"paco:{checkpoint(tmp_path / 'run')}")
    (row,) = measure(encoder, Data.load(TASK, None), out=tmp_path)
    (table,) = family_tables(load_rows(tmp_path / "rows").rows)
    problems: list[str] = []
    drawn = {
        chart.name: chart for chart in table_charts(table, Items(), registered_metrics(), problems.append)
    }
    (nearest, _) = drawn["codebook/synthetic-places"].panels
    items = read_items(tmp_path / "rows" / f"{row.key}.json")
    numbers = [text for line in nearest.texts for text in line]
    assert numbers == [f"{value:.1f}" for value in codebook.position_entropy(items)] and not problems


def test_unreadable_pictures_believe_wrongly_and_encoders_without_a_codebook_are_passed_over(tmp_path):
    mae = checkpoint(tmp_path / "mae", objective="mae")
    run = checkpoint(tmp_path / "run")
    said: list[str] = []
    broken = replace(TASK, reader_options={"broken": 2})
    assert (
        evaluate_all([f"paco:{run}", f"paco:{mae}", "constant"], [broken], out=tmp_path, say=said.append)
        == []
    )
    assert sum("has no codebook, nothing to measure" in line for line in said) == 2
    (path,) = (tmp_path / "rows").glob("*.json")
    items = read_items(path)
    assert len(items) == 18 and (items["failure"] != "").sum() == 2
    assert (items.loc[items["failure"] != "", "accuracy"] == 0).all()


def test_the_kind_keeps_the_rules_of_all_kinds():
    checked = check_task(replace(TASK, reader_options={"people": 20}))
    assert checked.scores["all"]["belief_accuracy"][0] == 100.0


def test_entropy_of_places_counts_tokens():
    items = pd.DataFrame({"nearest": [[0, 5], [1, 5], [0, 5], [1, -1]]})
    np.testing.assert_allclose(codebook.position_entropy(items), [np.log(2), 0.0])


def test_masks_of_diagnostics_depend_on_the_picture_alone():
    config = small_config()
    images = batch_of(config).images
    together, alone = masked_batch(images, config), masked_batch(images[3:4], config)
    assert torch.equal(together.hidden[3:4], alone.hidden)
    both, _ = torch.cat([together.hidden, together.visible], 1).sort(1)
    assert (both == torch.arange(config.encoder.cells)).all()
    assert together.shown is None
