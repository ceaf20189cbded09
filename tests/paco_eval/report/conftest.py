"""A report of made-up rows with everything that a page can show, built once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from paco_eval.report.build import Report, build_report
from paco_eval.rows.store import write_row
from tasks.kinds.shared.shown import hardest_pairs
from tests.fixtures.made_artefacts import write_pretraining, write_samples
from tests.fixtures.made_rows import QUALITY, TASKS, make_row, write_run

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


class Built(NamedTuple):
    run: Path
    out: Path
    report: Report
    html: str


@pytest.fixture
def names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have figures as files named, but not drawn, which takes a second each."""
    ends = (".png", ".svg", ".pdf")
    monkeypatch.setattr("paco_eval.report.build.draw", lambda chart, look: None)
    monkeypatch.setattr(
        "paco_eval.report.build.save",
        lambda figure, stem: tuple(stem.with_name(stem.name + end) for end in ends),
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    run = write_run(tmp_path_factory.mktemp("run"), tasks=[TASKS[3], TASKS[5]])
    rng = np.random.default_rng(0)
    for encoder in QUALITY:
        row, items = make_row(encoder, TASKS[2])
        found = {
            f"{angle}_{side}": rng.normal(0, 10, len(items))
            for angle in ("pitch", "roll")
            for side in ("true", "pred")
        }
        path = write_row(run / "rows", row, items.assign(**found, yaw_pred=items.yaw_true + items.error))
        write_samples(path, ["00003", "00001", "00002"], ["shared", "shared", "worst"])
        row, items = make_row(encoder, TASKS[0])
        path = write_row(run / "rows", row, items.assign(id_a="a" + items.id, id_b="b" + items.id))
        hardest = hardest_pairs(items.assign(id_a="a" + items.id, id_b="b" + items.id))
        count = len(hardest)
        write_samples(path, [*hardest.id_a, *hardest.id_b], ["pair"] * 2 * count, [*hardest.id] * 2,
                      [0] * count + [1] * count)  # fmt: skip
    write_pretraining(run)
    write_pretraining(run, "mae-tiny", codebook=False)
    write_row(run / "rows", *make_row(HOSTILE, TASKS[2]))
    out = run / "report"
    report = build_report(run, out, replicates=100)
    return Built(run, out, report, (out / "report.html").read_text())
