"""The cells of a derived task: clean, and every kind of change at every level; whom they show and what they change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.evaluation.data import Data
from paco_eval.features.perturbed import Condition
from paco_eval.probes.scorer import held_of
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Say
from paco_fr.utils.untrusted import parse_json
from tasks.derived import CLEAN, Cell
from tasks.perturbations.catalogue import perturbation
from tasks.readers.synthetic.rendered import cell_spec
from tasks.splits import ScoredOnly, Split
from tasks.task import Sweep, Task
from tasks.units import Units


def sweep_of(task: Task) -> Sweep:
    """Return the sweep of a derived task."""
    if task.sweep is None:
        raise PacoError(f"{task.name} is not a derived task.")
    return task.sweep


def _possible_kinds(task: Task, units: Units, say: Say) -> tuple[str, ...]:
    """Return the kinds that the records allow."""
    sweep = sweep_of(task)
    if sweep.source == "rendered" or {"landmarks", "scheme"} <= set(units.labels):
        return sweep.kinds
    kinds = tuple(kind for kind in sweep.kinds if not perturbation(kind).needs_face)
    left = ", ".join(kind for kind in sweep.kinds if kind not in kinds)
    if not kinds:
        raise PacoError(
            f"{left} are anchored to landmarks, which {sweep.base} does not give. Its pictures can be swept by "
            f"illumination/{sweep.base} and quality/{sweep.base}."
        )
    if left:
        say(f"{task.name}: without {left}: anchored to landmarks, which {sweep.base} does not give.")
    return kinds


def cells_of(data: Data, say: Say = lambda _: None) -> list[Cell]:
    """Return the cells that the records allow, the clean one first."""
    kinds, levels = _possible_kinds(data.task, data.views["all"][0], say), sweep_of(data.task).levels
    return [CLEAN, *((kind, level) for kind in kinds for level in levels)]


def drawn_fingerprint(data: Data, cell: Cell) -> str:
    """Return the hash of the pictures of a cell: of the records and, where they are drawn again, of how."""
    if sweep_of(data.task).source != "rendered":
        return data.fingerprint
    spec = None if cell == CLEAN else cell_spec(data.task, *cell).fingerprint()
    return content_hash([data.fingerprint, spec])


def mean_achieved(achieved: npt.NDArray[np.floating]) -> float | None:
    """Return the mean over pictures, as rows tell it; None where nothing is known."""
    known = achieved[np.isfinite(achieved)]
    return round(float(known.mean()), 6) if len(known) else None


def told_of(sweep: Sweep, cell: Cell, achieved: npt.NDArray[np.floating]) -> dict[str, str | float | None]:
    """Return what the row of a cell says beside its choice: whence its pictures are, and what the change achieved."""
    drawn = sweep.source == "rendered"
    tag = None if cell == CLEAN or drawn else Condition(*cell).tag
    return {"source": sweep.source, "achieved": mean_achieved(achieved), "perturbation": tag}


def shown_units(task: Task, labels: pd.DataFrame, split: Split | ScoredOnly) -> npt.NDArray[np.intp]:
    """Return the scored units that a sweep shows: all, or those of its first identities."""
    held, identities = held_of(split), sweep_of(task).identities
    if identities is None:
        return held
    groups = labels["group"].iloc[held]
    return held[groups.isin(pd.unique(groups)[:identities]).to_numpy()]


def changed_units(task: Task, labels: pd.DataFrame, split: Split | ScoredOnly) -> npt.NDArray[np.intp]:
    """Return which of the shown units are changed: probes where there is a gallery, else all."""
    shown = shown_units(task, labels, split)
    if task.options.get("pairs") == "gallery_probe":
        probes: npt.NDArray[np.bool_] = (labels["media"].iloc[shown] == task.options["probe"]).to_numpy()
        return shown[probes]
    return shown


def drawn_coverage(task: Task, labels: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the share of each face that the renderer hid, from the records' parameters; NaN for another factor."""
    if sweep_of(task).factor != "occlusion":
        return np.full(len(labels), np.nan)
    return np.array(
        [parse_json(text, "parameters of a face").get("coverage", np.nan) for text in labels["parameters"]],
        dtype=np.float64,
    )
