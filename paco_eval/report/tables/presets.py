"""Tables as papers print them: which columns, in which order, of which rows. A style is data.

Two tables need more. *Robustness*: of a task derived by perturbing pictures (``occlusion/landmarks/wflw``: kind
in ``subset``, severity in ``level``) the clean column and what is lost stand first, see
:func:`paco_eval.report.tables.robustness.over_levels`.
*Ablation*: a method whose name holds departures from its recipe (``paco/tiny masking.ratio=0.5``) is a variant,
and is shown with the plain method of the same recipe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from paco_eval.analysis.columns import Column
from paco_eval.analysis.significance import MeanInterval, widest_ends
from paco_eval.report.tables.robustness import over_levels
from paco_eval.report.tables.table import Ahead, Table, family_tables
from paco_eval.rows.store import Stored


@dataclass(frozen=True)
class Wanted:
    """Columns of a preset; ``task``, ``subset`` and ``metric`` are globs, an empty metric is the main one."""

    task: str
    subset: str = "all"
    metric: str = ""

    def matches(self, column: Column) -> bool:
        """Say whether a column is one of these."""
        metric = column.main if not self.metric else fnmatchcase(column.metric, self.metric)
        return metric and fnmatchcase(column.task, self.task) and fnmatchcase(column.subset, self.subset)


_WFLW = ("all", "pose", "expression", "illumination", "makeup", "occlusion", "blur")

ROBUSTNESS = "robustness"
"""Name of the preset of sweeps and official hard subsets."""

PRESETS: dict[str, tuple[Wanted, ...]] = {
    "alignment": (
        *(Wanted("landmarks/wflw", subset, "nme_interocular") for subset in _WFLW),
        Wanted("landmarks/wflw", "all", "fr10"),
        Wanted("landmarks/wflw", "all", "auc10"),
        *(Wanted("landmarks/300w", subset, "nme_interocular") for subset in ("common", "challenge", "all")),
        *(Wanted("landmarks/aflw19", subset, "nme_diag") for subset in ("all", "frontal")),
        Wanted("landmarks/cofw", "all", "nme_interocular"),
        Wanted("landmarks/cofw", "all", "fr10"),
        Wanted("landmarks/london"),
        Wanted("landmarks/synthetic"),
    ),
    "parsing": (Wanted("parsing/*", "all", "mean_f1"), Wanted("parsing/*", "all", "f1_*")),
    "recognition": (
        *(
            Wanted(f"recognition/{name}")
            for name in ("lfw", "lfw_aligned", "cfp_fp", "agedb_30", "calfw", "cplfw")
        ),
        *(Wanted(f"recognition/{name}", "all", "tar@far=1e-4") for name in ("ijbb", "ijbc")),
        Wanted("recognition/london", "all", "*"),
        Wanted("recognition/synthetic", "all", "*"),
    ),
    "pose": (
        *(
            Wanted(f"pose/{name}", "all", metric)
            for name in ("aflw2000", "biwi", "biwi-70-30", "synthetic")
            for metric in ("mae_yaw", "mae_pitch", "mae_roll", "mae", "geodesic")
        ),
        Wanted("pose/biwi", "all", "mae_aligned"),
    ),
    "expression": (Wanted("expression/*"), Wanted("expression/*", "all", "class_mean_accuracy")),
    "attributes": (Wanted("attributes/*"),),
    ROBUSTNESS: (
        Wanted("*/*/*", "*"),
        *(Wanted("landmarks/*", subset) for subset in ("occlusion", "pose", "illumination", "blur")),
        *(Wanted("expression/*_challenge", subset) for subset in ("occlusion", "pose30", "pose45")),
        Wanted("pose/aflw2000", "yaw*"),
        Wanted("recognition/yale", "subset*"),
        Wanted("recognition/multipie*", "view*"),
    ),
    "ablation": (Wanted("*/*"),),
    "codebook health": (Wanted("codebook/*", "*", "*"),),
}
"""Columns of each table of ``--style paper``, in the order in which they are printed."""


def preset_tables(
    rows: Iterable[Stored],
    *,
    intervals: MeanInterval = widest_ends,
    ahead: Collection[Ahead] = (),
    several: set[str] | None = None,
    references: Sequence[Stored] = (),
) -> list[Table]:
    """Return the paper-style tables, one for each preset and protocol that has any measured column.

    Args:
        rows: as :func:`paco_eval.rows.store.load_rows` returns them; miniatures are left out.
        intervals: of means over seeds.
        ahead: what is printed bold, see :func:`paco_eval.report.tables.table.family_tables`.
        several: methods of which a line is the mean over seeds, likewise.
        references: rows of ``constant`` that relative drops are held against, beside those that are shown.

    """
    rows = [stored for stored in rows if stored.row.data_kind != "mimic"]
    found = []
    for name, wanted in PRESETS.items():
        chosen = [
            stored for stored in rows if any(fnmatchcase(stored.row.task, want.task) for want in wanted)
        ]
        if name == "ablation":
            chosen = _variants(chosen)
        for table in family_tables(chosen, intervals=intervals, ahead=ahead, heading=name, several=several):
            arranged = _arranged(over_levels(table, references) if name == ROBUSTNESS else table, wanted)
            if arranged.columns:
                found.append(arranged)
    return found


def _variants(rows: Iterable[Stored]) -> list[Stored]:
    """Return the rows of methods that depart from a recipe, and of the recipes that these depart from."""
    rows = list(rows)
    recipes = {stored.row.method.partition(" ")[0] for stored in rows if "=" in stored.row.method}
    return [stored for stored in rows if stored.row.method.partition(" ")[0] in recipes]


def _arranged(table: Table, wanted: Sequence[Wanted]) -> Table:
    """Return the table with the wanted columns only, in the wanted order."""
    places = []
    for position, column in enumerate(table.columns):
        order = next((order for order, want in enumerate(wanted) if want.matches(column)), None)
        if order is not None:
            places.append((order, position))
    keep = [position for _, position in sorted(places)]
    # Every wanted column is a main one here: a renderer that shows main metrics only must not drop it.
    arranged = table.with_columns(keep)
    return replace(arranged, columns=tuple(replace(column, main=True) for column in arranged.columns))
