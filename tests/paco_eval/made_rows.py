"""Plausible rows and items drawn at random. For tests only: nothing here was ever measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paco_eval.rows import Interval, Metric, Row, Unit, possible, write_row
from paco_fr.randomness import generator


@dataclass(frozen=True)
class Made:
    """A task as the generator knows it: two metrics and how good the worst and best encoder are."""

    task: str
    main: str
    unit: Unit
    higher: bool
    worst: float
    best: float
    data_kind: str = "synthetic"
    licence: str = "Apache-2.0 (rendered)"


TASKS = (
    Made("recognition/synthetic", "auc", "", True, 0.5, 0.86),
    Made("recognition/london", "auc", "", True, 0.5, 0.93, "official", "CC BY 4.0"),
    Made("pose/synthetic", "mae", "deg", False, 21.0, 5.4),
    Made("landmarks/synthetic", "nme_box", "%", False, 14.0, 6.2),
    Made("landmarks/london", "nme_ocular", "%", False, 10.1, 4.6, "official", "CC BY 4.0"),
    Made("expression/synthetic", "accuracy", "%", True, 14.3, 66.0),
)
QUALITY = {"constant": 0.0, "pixels": 0.42, "random:paco-tiny@0": 0.45, "mae-tiny": 0.93, "paco-tiny": 0.97}
EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")


def _items(made: Made, encoder: str, level: float, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return items with the columns that the kinds of task write."""
    shared = generator("shared-items", n, len(made.task))
    people = [f"p{i // 6:03d}" for i in range(n)]
    frame = pd.DataFrame({"id": [f"{i:05d}" for i in range(n)], "failure": ""})
    if made.unit == "":
        truth = shared.random(n) < 0.5
        score = np.where(truth, 3.2 * (level - 0.5), 0.0) + rng.normal(0, 1, n)
        other = np.where(truth, people, np.roll(people, 7))
        return frame.assign(group_a=people, group_b=other, truth=truth, score=score)
    frame["group"] = people
    if made.main == "accuracy":
        truth = shared.integers(len(EXPRESSIONS), size=n)
        wrong = (truth + rng.integers(1, len(EXPRESSIONS), n)) % len(EXPRESSIONS)
        prediction = np.where(rng.random(n) < level / 100, truth, wrong)
        return frame.assign(truth=truth, prediction=prediction, error=(prediction != truth) * 1.0)
    yaw = shared.uniform(-75, 75, n)
    hard = shared.gamma(6, 1 / 6, n) * (0.7 + 0.6 * (np.abs(yaw) / 75) ** 2)
    frame["error"] = level * hard / hard.mean() * rng.gamma(20, 1 / 20, n)
    if made.unit == "deg":
        return frame.assign(yaw_true=yaw, geodesic=frame.error * 1.6)
    return frame.assign(**{"yaw": yaw, made.main: frame.error})


def make_row(
    encoder: str = "paco-tiny", made: Made = TASKS[2], *, seed: int = 0, n: int = 240, **changed: Any
) -> tuple[Row, pd.DataFrame]:
    """Return a row and its items; ``changed`` replaces fields of the row."""
    rng = generator("made-row", seed, n, *map(ord, encoder + made.task))
    level = made.worst + (made.best - made.worst) * min(1, QUALITY.get(encoder, 0.6) + rng.normal(0, 0.02))
    items = _items(made, encoder, level, n, rng)
    if made.unit == "":
        a, b = items[items.truth].score.to_numpy(), items[~items.truth].score.to_numpy()
        value = float((a[:, None] > b[None]).mean())
    elif made.main == "accuracy":
        value = float(100 - 100 * items.error.mean())
    else:
        value = float(items.error.mean())
    half = abs(made.best - made.worst) * 1.1 / np.sqrt(n) * 2
    top = possible(made.unit, made.higher)[1]
    metric = Metric(
        value=value, low=max(0, value - half), high=min(top, value + half),
        higher_is_better=made.higher, unit=made.unit,
    )  # fmt: skip
    second = Metric(value=min(100.0, 2 * value), higher_is_better=False, unit="%")
    trained = encoder.split("@")[0].split(":")[0] in ("paco-tiny", "mae-tiny", "simmim-tiny")
    fields: dict[str, Any] = {
        "task": made.task,
        "task_version": 1,
        "family": made.task.rpartition("/")[0],
        "encoder": encoder,
        "method": encoder.partition("@")[0],
        "weight_hash": f"{abs(hash_of(encoder + str(seed))):016x}",
        "pixel_hash": "5b2c0c1f6a4e9d37",
        "crop_hash": "c0ffee0123456789",
        "protocol": "frozen",
        "data_fingerprint": "0f1e2d3c4b5a6978",
        "data_kind": made.data_kind,
        "pretrain_seed": seed if trained else None,
        "probe_seed": 0,
        "chosen": {"block": 3, "pooling": "grid4", "ridge": 10.0},
        "val_score": value,
        "metrics": {made.main: metric, "failure_rate": second},
        "main_metric": made.main,
        "interval": Interval(method="bootstrap percentile", unit="identity", n_units=n // 6, replicates=1000),
        "n_expected": n + 2,
        "n_scored": n,
        "cost": {"parameters": 4.7e5 if trained or "random" in encoder else 0.0, "images_per_s": 950.0},
        "timings": {"extract": 3.1, "fit": 0.4, "score": 0.1},
        "licences": {"data": made.licence, "weights": "Apache-2.0"},
        "versions": {"paco-fr": "0.1.0", "torch": "2.9.0"},
        "commit": "0123456789ab",
        "hardware": {"cpu": "2 cores"},
        "command": f"paco-eval evaluate {encoder} --tasks {made.task}",
    }
    fields.update(changed)
    return Row(**fields), items


def hash_of(text: str) -> int:
    """Return a number that is the same in every process, unlike ``hash``."""
    return int.from_bytes(generator("hash", *map(ord, text)).bytes(7), "big")


def write_run(
    folder: Path,
    encoders: Iterable[str] = tuple(QUALITY),
    tasks: Sequence[Made] = TASKS,
    seeds: Sequence[int] = (0,),
) -> Path:
    """Write a run folder with a row for each encoder, task and pretraining seed."""
    for encoder in encoders:
        for made in tasks:
            for seed in seeds:
                row, items = make_row(encoder, made, seed=seed)
                write_row(folder / "rows", row, items)
    return folder
