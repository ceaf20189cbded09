"""Tasks without a head: the encoder's own diagnostics of each picture become the items of a row."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from accelerate import PartialState

from paco_eval.evaluation.data import Data
from paco_eval.evaluation.record import identity_of, row_of, wanted_of
from paco_eval.features.batches import batches_of, prepared_batches
from paco_eval.features.processes import together
from paco_eval.probes.probe import Choice
from paco_eval.probes.scorer import Decision, held_of
from paco_eval.rows.schema import Row
from paco_eval.rows.store import write_row
from paco_fr.contracts import Diagnostics, Encoder
from paco_fr.utils.types import Array, Say
from tasks.kinds import load_kind
from tasks.splits import Split
from tasks.task import Task
from tasks.units import Units

NOTHING_DECIDED = Decision(
    Choice(("all", "codebook"), "none", float("nan")), source="nothing is fitted or chosen"
)


def diagnostics_of(encoder: Encoder, task: Task, say: Say) -> Diagnostics | None:
    """Return the diagnostics of an encoder; of one that has none it is said."""
    found: Diagnostics | None = getattr(encoder, "diagnostics", None)
    if found is None:
        say(f"{task.name}  {encoder.name}: has no codebook, nothing to measure")
    return found


def evaluate_diagnosis(
    encoder: Encoder, data: Data, *, out: Path, overwrite: str = "missing", say: Say = print
) -> list[Row]:
    """Write the row of one encoder's diagnostics; encoders that have none are passed over.

    Raises:
        PacoError: the task's crop is not the one the encoder requires, or rows exist under ``never``.

    """
    task, started = data.task, time.monotonic()
    diagnose = diagnostics_of(encoder, task, say)
    if diagnose is None:
        return []
    identity = identity_of(encoder, data, "all")
    if not wanted_of(encoder, data, {"all": identity}, out, overwrite, say):
        return []
    units, split = data.views["all"]
    assert isinstance(split, Split)
    held = held_of(split)
    fitted = np.unique(np.concatenate([fold.fit.indices for fold in split.score]))
    state = PartialState()
    mean = _mean_matter(encoder, diagnose, units, fitted, state)
    outputs = _outputs(encoder, diagnose, units, held, mean, state)
    if not state.is_main_process:
        return []
    items = load_kind(task.kind).items(outputs, units.labels.iloc[held].reset_index(drop=True), task)
    failed = int((items["failure"] != "").sum())
    timings = {"extract": time.monotonic() - started}
    row = row_of(encoder, data, identity, NOTHING_DECIDED, items, split, len(held), failed, timings)
    written = write_row(out / "rows", row, items)
    return [row.model_copy(update={"key": written.stem})]


def _mean_matter(
    encoder: Encoder, diagnose: Diagnostics, units: Units, fitted: npt.NDArray[np.intp], state: PartialState
) -> Array:
    """Return the mean patch (N, T) of each place over the train part, as the encoder's tokens see patches."""

    def summed(own: list[int]) -> tuple[Array | float, int]:
        total: Array | float = 0.0
        count = 0
        for members, pictures, _ in prepared_batches(units, batches_of(own), encoder.pixels):
            if members:
                total = total + diagnose(pictures)["matter"].double().sum(0).cpu().numpy()
                count += len(members)
        return total, count

    with state.split_between_processes(fitted.tolist()) as own:
        parts = together(lambda: summed(own), state)
    return np.asarray(sum(part for part, _ in parts) / max(1, sum(number for _, number in parts)))


def _outputs(
    encoder: Encoder,
    diagnose: Diagnostics,
    units: Units,
    held: npt.NDArray[np.intp],
    mean: Array,
    state: PartialState,
) -> Array:
    """Return the outputs that the kind reads (n, 2 + 3N) of the held units; NaN rows where unreadable."""

    def told(own: list[int]) -> dict[int, Array]:
        found: dict[int, Array] = {}
        for members, pictures, _ in prepared_batches(units, batches_of(own), encoder.pixels):
            if members:
                said = {name: value.double().cpu().numpy() for name, value in diagnose(pictures).items()}
                found |= dict(zip(members, _rows(said, mean), strict=True))
        return found

    with state.split_between_processes(held.tolist()) as own:
        parts = together(lambda: told(own), state)
    whole = {unit: row for part in parts for unit, row in part.items()}
    blank = np.full(2 + 3 * len(mean), np.nan)
    return np.stack([whole.get(unit, blank) for unit in held.tolist()])


def _rows(said: dict[str, Array], mean: Array) -> Array:
    hidden = said["hidden"].astype(np.int64)  # (B, M)
    truth = np.take_along_axis(said["matter"], hidden[..., None], axis=1)  # (B, M, T)
    nearer = ((said["tokens"] - truth) ** 2).sum(-1) < ((mean[hidden] - truth) ** 2).sum(-1)
    believed, beats = np.full(said["nearest"].shape, -1.0), np.full(said["nearest"].shape, -1.0)
    np.put_along_axis(believed, hidden, said["believed"], axis=1)
    np.put_along_axis(beats, hidden, nearer.astype(np.float64), axis=1)
    sizes = np.tile(said["sizes"], (len(hidden), 1))
    return np.hstack([sizes, believed, said["nearest"], beats])
