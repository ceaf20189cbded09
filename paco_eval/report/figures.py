"""From rows and artefacts to the figures of a report: what is worth drawing, of whom, with which words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paco_eval.analysis.columns import Column
from paco_eval.analysis.robustness import PITCH_EDGES, YAW_EDGES, by_angle, knows_angle
from paco_eval.analysis.significance import registered_metrics
from paco_eval.evaluation.protocols import apart
from paco_eval.report.plots.curves import confusion_matrix, cumulative_error, det, error_against_yaw, roc
from paco_eval.report.plots.method import place_maps
from paco_eval.report.plots.pictures import codebook_atlas, landmark_sheet, picture_rows, reconstruction_sheet
from paco_eval.report.plots.robustness import score_against_angle
from paco_eval.report.plots.scores import accuracy_against_cost, dot_and_interval, few_shot_curves
from paco_eval.report.plots.style import Look
from paco_eval.report.plots.training import (
    codebook_health,
    compare_losses,
    has_codebook,
    loss_curves,
    read_metrics,
)
from paco_eval.report.tables.table import Cell, Table
from paco_eval.rows.artefacts import Pretraining, load_arrays
from paco_eval.rows.store import SAMPLES, Stored
from paco_fr.utils.errors import PacoError
from tasks.metrics.metric import Metric

ANGLES = (("yaw", YAW_EDGES, "nose to the left of the picture"), ("pitch", PITCH_EDGES, "nose up"))
"""Angles that scores are shown against: edges of the bins in degrees, and what is positive."""

MOST_CURVES = 8
"""Curves in one figure; more cannot be told apart."""


@dataclass(frozen=True)
class Drawn:
    """A figure of a report.

    Attributes:
        name: as a file.
        task: that it belongs to, empty for a pretraining run.
        caption: printed under it.
        figure: the drawing.
        wide: whether it needs the whole width of a page.
        spoken: its numbers in words for those who cannot see it; the caption if there are too many.

    """

    name: str
    task: str
    caption: str
    figure: Figure
    wide: bool = False
    spoken: str = ""


Problem = Callable[[str], None]


def table_figures(table: Table, look: dict[str, Look], problem: Problem) -> Iterator[Drawn]:
    """Yield dot-and-interval plots of all main metrics, then what the items of each task can show."""
    if table.compared:
        return
    for position, column in enumerate(table.columns):
        if not column.main or column.level >= 0:  # levels are drawn as curves
            continue
        cells = [(line.label, line.cells[position]) for line in table.lines if line.kind == "measured"]
        found = [(label, cell) for label, cell in cells if cell is not None]
        if not found:
            continue
        yield _dots(table, column, found, look)
        if column.subset == "all":
            yield from _cost(table, column, found)
            try:
                yield from _item_figures(table, column, _leaders(column, found))
            except PacoError as error:
                problem(str(error))


def _dots(table: Table, column: Column, cells: Sequence[tuple[str, Cell]], look: dict[str, Look]) -> Drawn:
    frame = pd.DataFrame(
        [(label, cell.value, cell.low, cell.high) for label, cell in cells],
        columns=["encoder", "value", "low", "high"],
    ).astype({"value": float, "low": float, "high": float})
    best_first = frame.sort_values("value", ascending=not column.higher_is_better, kind="stable")
    figure = dot_and_interval(
        best_first, title=f"{table.family} · {column.place}", heading=column.heading, look=look,
        decimals=column.decimals,
    )  # fmt: skip
    said = "; ".join(f"{label} {column.number(cell.value)}" for label, cell in cells)
    name = f"{column.task}-{column.place}-dots"
    return Drawn(name, column.task, "", figure, spoken=f"{column.heading}: {said}.")


def _cost(table: Table, column: Column, cells: Sequence[tuple[str, Cell]]) -> Iterator[Drawn]:
    """Yield the score against the number of parameters, where at least three sizes were measured."""
    lines = [
        (label, cell.rows[0].row.cost.get("parameters", 0), cell.value, cell.low, cell.high)
        for label, cell in cells
    ]
    frame = pd.DataFrame(lines, columns=["encoder", "cost", "value", "low", "high"])
    frame = frame.astype({"value": float, "low": float, "high": float})
    frame = frame[(frame.cost > 0) & frame.value.notna()]
    if frame.cost.nunique() < 3:
        return
    figure = accuracy_against_cost(
        frame, title=f"{table.family} · {column.place}", xlabel="parameters", ylabel=column.heading
    )
    yield Drawn(f"{column.task}-cost", column.task, "Score against the size of the encoder.", figure)


def _leaders(column: Column, cells: Sequence[tuple[str, Cell]]) -> list[tuple[str, Stored]]:
    """Return the best encoders with the row of their first seed, best first."""
    sign = -1 if column.higher_is_better else 1
    ranked = sorted(
        ((sign * cell.value, label, cell.rows[0]) for label, cell in cells if cell.value is not None),
        key=lambda entry: entry[:2],
    )
    return [(label, stored) for _, label, stored in ranked[:MOST_CURVES]]


def _item_figures(table: Table, column: Column, leaders: list[tuple[str, Stored]]) -> Iterator[Drawn]:
    if not leaders:
        return
    items = {label: stored.items() for label, stored in leaders}
    first_label, first = next(iter(items.items()))
    task, title, columns = column.task, f"{table.family} · {column.place}", set(first.columns)
    if {"score", "truth"} <= columns:
        pairs = {label: (frame.truth, frame.score.fillna(-np.inf)) for label, frame in items.items()}
        yield Drawn(
            f"{task}-roc", task, "True accepts against false accepts, all pairs.",
            roc(pairs, title=title),
        )  # fmt: skip
        yield Drawn(
            f"{task}-det", task, "False rejects against false accepts. Dotted, and beside the names: where they are equal.",
            det(pairs, title=title),
        )  # fmt: skip
    elif {"prediction", "truth", "confidence"} <= columns or table.family.endswith("expression"):
        yield _confusion(task, f"{title} · {first_label}", first)
    elif "error" in columns and table.family.endswith("landmarks"):
        limit = _failure_threshold(leaders[0][1])
        yield Drawn(
            f"{task}-ced", task, "Share of faces with at most each error.",
            cumulative_error(
                {label: frame.error for label, frame in items.items()}, title=title,
                xlabel=f"{leaders[0][1].row.main_metric.replace('_', ' ')} (%)", limit=limit,
            ),
        )  # fmt: skip
    if {"nearest", "believed"} <= columns:
        from tasks.kinds.codebook import position_entropy

        maps = {f"{name} tokens": position_entropy(first, name) for name in ("nearest", "believed")}
        yield Drawn(
            f"{task}-places", task, "Entropy of the tokens at each place of the aligned face, in nats.",
            place_maps(maps, title=f"{title} · {first_label}"),
        )  # fmt: skip
    yaw = next((name for name in ("yaw_true", "yaw") if name in columns), None)
    if yaw and "error" in columns:
        errors = {label: (frame[yaw], frame.error) for label, frame in items.items() if yaw in frame}
        yield Drawn(
            f"{task}-yaw", task, "Mean error in bins of 15° of the true yaw; band: one standard error.",
            error_against_yaw(
                errors, title=title, ylabel="error rate" if column.higher_is_better else column.heading
            ),
        )  # fmt: skip
    metric = _definition(leaders[0][1])
    for angle, edges, sign in ANGLES:
        drawn = angle == "yaw" and yaw and "error" in columns
        if metric is not None and not drawn and knows_angle(first, angle):
            bins = {label: by_angle(frame, metric, angle, edges) for label, frame in items.items()}
            yield Drawn(
                f"{task}-{angle}-bins", task, f"{column.heading} in bins of the true {angle}.",
                score_against_angle(
                    bins, title=title, xlabel=f"true {angle} (°), positive: {sign}", ylabel=column.heading
                ),
            )  # fmt: skip


def _definition(stored: Stored) -> Metric | None:
    """Return the main metric of a row whose task is declared here, in the version of the row."""
    return registered_metrics()(stored.row, stored.row.main_metric)


def _failure_threshold(stored: Stored) -> float:
    """Return t of the row's failure rate at t, named fr7 or fr10; else what nearly all errors are under."""
    found = [re.fullmatch(r"fr@?(\d+(?:\.\d+)?)", name) for name in stored.row.metrics]
    limits = [float(match.group(1)) for match in found if match]
    return max(limits) if limits else float(np.ceil(np.nanquantile(stored.items().error, 0.97)))


def _confusion(task: str, title: str, items: pd.DataFrame) -> Drawn:
    from paco_fr.faces.records import EXPRESSIONS  # brings in a large library, needed here only

    scored = items[items.prediction >= 0]
    codes = sorted(set(scored.truth) | set(scored.prediction))
    known = task.rpartition("/")[0].endswith("expression") and max(codes, default=0) < len(EXPRESSIONS)
    name = {code: EXPRESSIONS[code] if known else str(code) for code in codes}
    figure = confusion_matrix(
        [name[code] for code in scored.truth], [name[code] for code in scored.prediction], title=title,
        classes=list(name.values()),
    )  # fmt: skip
    return Drawn(f"{task}-confusion", task, "Rows are true classes and sum to 100 %.", figure)


_FEW_SHOT = re.compile(r"few-shot (\d+(?:\.\d+)?) ?(%|per class)")


def few_shot_figures(tables: Sequence[Table]) -> dict[str, list[Drawn]]:
    """Return scores against labelled items for each task, under the title of a table to stand with.

    The protocols ``few-shot 1%`` and ``few-shot 5 per class`` are points of a curve, ``frozen`` with the same
    departures (a limit, say) is its end at all items. The curve stands with the table of its fewest items.
    """
    points: dict[tuple[str, str, Column, str], list[tuple[float, Table, int]]] = defaultdict(list)
    for table in tables:
        if table.compared or table.mimic:
            continue
        name, departures = apart(table.protocol)
        found = _FEW_SHOT.fullmatch(name)
        if not (found or name == "frozen"):
            continue
        for at, column in enumerate(table.columns):
            if not column.main or column.level >= 0 or column.subset != "all":
                continue
            for unit in [found[2]] if found else ["%", "per class"]:
                amount = float(found[1]) if found else np.inf
                points[unit, departures, column, table.family].append((amount, table, at))
    drawn: dict[str, list[Drawn]] = defaultdict(list)
    for (unit, _, column, family), places in points.items():
        frame = _few_shot_scores(places)
        if frame.amount.nunique() < 2:
            continue
        figure = few_shot_curves(frame, title=f"{family} · {column.place}", ylabel=column.heading, unit=unit)
        _, first, _ = min(places, key=lambda place: place[0])
        name = f"{column.task}-few-shot-{'share' if unit == '%' else 'per-class'}"
        caption = "Score against the number of labelled items; band: interval."
        drawn[first.title].append(Drawn(name, column.task, caption, figure))
    return drawn


def _few_shot_scores(places: Sequence[tuple[float, Table, int]]) -> pd.DataFrame:
    lines = [
        (line.label, amount, cell.value, cell.low, cell.high, cell.rows[0].row.chosen.get("labelled"))
        for amount, table, at in places
        for line in table.lines
        if line.kind == "measured" and (cell := line.cells[at]) and cell.value is not None
    ]
    frame = pd.DataFrame(lines, columns=["encoder", "amount", "value", "low", "high", "labelled"])
    return frame.astype({"low": float, "high": float, "labelled": float})


SAMPLES_CAPTION = {
    True: "From the best to the worst face. Rings: true. Dots: predicted.",
    False: "From the best to the worst face: what was predicted, for what is true.",
}


def sample_figures(rows: Sequence[Stored], problem: Problem) -> Iterator[Drawn]:
    """Yield a sheet of faces with points for every row that has samples beside it."""
    for stored in rows:
        row = stored.row
        try:
            place = stored.beside(SAMPLES)
            found = None if place is None else load_arrays(place, "samples")
            if found is not None:
                figure = landmark_sheet(
                    found["images"], found["predicted"], found["truth"], found["visible"],
                    title=f"{row.task} · {row.encoder}", names=[str(name) for name in found["names"]],
                )  # fmt: skip
                yield Drawn(
                    f"{row.task}-{row.encoder}-faces",
                    row.task,
                    SAMPLES_CAPTION[found["truth"].shape[1] > 0],
                    figure,
                    True,
                )
        except PacoError as error:
            problem(str(error))


def pretraining_figures(run: Pretraining, problem: Problem) -> Iterator[Drawn]:
    """Yield loss curves, codebook health, reconstructions and the codebook atlas, as far as they exist."""
    makers: tuple[Callable[[Pretraining], Drawn | None], ...] = (
        _losses, _health, _reconstruction, _over_training, _atlas,
    )  # fmt: skip
    for make in makers:
        try:
            drawn = make(run)
        except PacoError as error:
            problem(str(error))
            continue
        if drawn is not None:
            yield drawn


def training_figures(runs: Sequence[Pretraining], problem: Problem) -> Iterator[Drawn]:
    """Yield the training curves of all runs of one objective in one figure, where there are several.

    Losses of different objectives are sums of different terms and never meet in one panel.
    """
    by_objective: dict[str, dict[str, pd.DataFrame]] = defaultdict(dict)
    for run in runs:
        try:
            metrics = read_metrics(run.log) if run.log.exists() else pd.DataFrame()
            if "loss" in metrics and metrics["loss"].notna().any():
                by_objective[str(run.card().get("objective", "unknown"))][run.name] = metrics
        except PacoError:
            continue  # told where the run's own curves are drawn
    for objective, logs in sorted(by_objective.items()):
        if len(logs) > 1:
            shown = dict(list(logs.items())[:MOST_CURVES])
            if len(shown) < len(logs):
                problem(f"{objective}: training curves of {len(shown)} of {len(logs)} runs are drawn.")
            figure = compare_losses(shown, "loss", title=f"{objective} · {len(shown)} runs")
            yield Drawn(f"{objective}-training", "", "Total loss, running mean.", figure)


def _losses(run: Pretraining) -> Drawn | None:
    if not run.log.exists() or not run.log.stat().st_size:  # an untrained encoder took no step
        return None
    figure = loss_curves(read_metrics(run.log), title=f"{run.name} · losses")
    return Drawn(f"{run.name}-losses", "", "Faint: every logged value. Line: running mean.", figure, True)


def _health(run: Pretraining) -> Drawn | None:
    if not run.log.exists() or not run.log.stat().st_size:
        return None
    metrics = read_metrics(run.log)
    if not has_codebook(metrics):
        return None
    figure = codebook_health(metrics, title=f"{run.name} · codebook health")
    return Drawn(
        f"{run.name}-health", "", "How many codes live and how well the belief picks them.", figure, True
    )


def _reconstruction(run: Pretraining) -> Drawn | None:
    found = load_arrays(run.folder / "reconstruction.npz", "reconstruction")
    if found is None:
        return None
    shown = (found[name][:10] for name in ("original", "corrupted", "reconstructed"))
    figure = reconstruction_sheet(*shown, title=f"{run.name} · reconstruction")
    return Drawn(
        f"{run.name}-reconstruction", "", "What was, what the model saw, what it made of it.", figure, True
    )


def _over_training(run: Pretraining) -> Drawn | None:
    kept = {f"step {int(path.stem):,}": path for path in sorted((run.folder / "sheets").glob("*.npz"))}
    found = {name: load_arrays(path, "reconstruction") for name, path in kept.items()}
    end = load_arrays(run.folder / "reconstruction.npz", "reconstruction")
    if not found or end is None:
        return None
    rows = {name: sheet["reconstructed"][:10] for name, sheet in found.items() if sheet is not None}
    whole = {
        "original": end["original"][:10], "corrupted": end["corrupted"][:10], **rows,
        "at the end": end["reconstructed"][:10],
    }  # fmt: skip
    figure = picture_rows(whole, title=f"{run.name} · reconstruction over training")
    return Drawn(
        f"{run.name}-training", "", "The same pictures and masks, ever later in the run.", figure, True
    )


def _atlas(run: Pretraining) -> Drawn | None:
    found = load_arrays(run.folder / "codebook.npz", "codebook")
    if found is None:
        return None
    try:
        figure = codebook_atlas(
            found["tokens"] / 255, found["usage"], title=f"{run.name} · codebook on the face grid"
        )
    except ValueError as error:
        raise PacoError(f"{run.folder / 'codebook.npz'}: {error}.") from error
    return Drawn(f"{run.name}-atlas", "", "Every cell of the aligned face has its own codes.", figure, True)
