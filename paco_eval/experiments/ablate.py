"""A grid of pretraining runs under one protocol: trained, measured and laid out as an ablation table.

Every cell is a recipe with some fields changed, trained once for each seed by the ordinary loop and measured
by the ordinary runner. Checkpoints lie under ``cells/``, rows under ``rows/``; the same call goes on where it
was stopped, and a finished cell is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from accelerate import PartialState

from paco_eval.analysis.columns import Column
from paco_eval.analysis.compare import compare
from paco_eval.analysis.significance import MetricOf, metrics_of_tasks, registered_metrics, seed_intervals
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.report.charts.panels import Chart, Dots
from paco_eval.report.charts.scores import nan_of
from paco_eval.report.plots.draw import draw
from paco_eval.report.plots.style import save
from paco_eval.report.tables.comparison import comparison_tables
from paco_eval.report.tables.formats import to_csv, to_latex, to_markdown
from paco_eval.report.tables.table import Cell, Line, Table, family_tables
from paco_eval.report.tables.trials import trials_table
from paco_eval.rows.store import Stored, load_rows
from paco_fr.baselines import build_objective
from paco_fr.checkpoint import read_card
from paco_fr.config import PretrainConfig, load_recipe
from paco_fr.contracts import content_hash
from paco_fr.train.pretrain import pretrain
from paco_fr.train.signals import Interrupted
from paco_fr.utils.errors import BusyError, PacoError
from paco_fr.utils.files import write_text
from paco_fr.utils.types import Say
from tasks.task import Task

COSTS = {"images/s": True, "seconds": False, "parameters, millions": False}
"""Columns of cost and whether more is better: of the whole training, what is thrown away included."""

COST = "cost/pretraining"

DIFFERENCE_REPLICATES = 2000
"""Behind every paired difference from the first line; few, because every call writes the table anew."""


@dataclass(frozen=True)
class Variant:
    """A recipe with some fields changed; one line of the table.

    Attributes:
        label: what was changed, ``key=value`` by comma; empty for the recipe itself.
        seeds: the configuration of each pretraining seed.

    """

    label: str
    seeds: tuple[PretrainConfig, ...]

    @property
    def method(self) -> str:
        """The name under which rows of all its seeds stand together."""
        return f"{self.seeds[0].objective}/{self.seeds[0].name}"

    def folder(self, out: Path, config: PretrainConfig) -> Path:
        """Return where the checkpoint of one of its seeds lies."""
        name = re.sub(r"[^\w.=,+-]", "_", self.label) or "recipe"
        if name != (self.label or "recipe"):
            name = f"{name[:80]}-{content_hash(self.label)[:6]}"
        return out / "cells" / name / f"seed-{config.seed}"


def variants(
    recipe: str,
    vary: Mapping[str, Sequence[Any]],
    seeds: int,
    *,
    fixed: Mapping[str, Any] | None = None,
    one_at_a_time: bool = False,
    lines: Sequence[Mapping[str, Any]] = (),
) -> list[Variant]:
    """Return the lines of a grid, every configuration checked before anything is trained.

    Args:
        recipe: name or TOML file.
        vary: ``section.key`` -> its values.
        seeds: pretraining seeds of each line, counted from the recipe's.
        fixed: fields that all lines have changed alike.
        one_at_a_time: instead of all combinations, the recipe itself and each value alone.
        lines: further lines, each of several fields changed together.

    Raises:
        PacoError: an unknown field, or a combination that is impossible.

    """
    base = dict(fixed or {})
    first = int(base.pop("seed", load_recipe(recipe, base).seed))
    if one_at_a_time:
        changes = [{}, *({key: value} for key, values in vary.items() for value in values)]
    else:
        changes = [dict(zip(vary, values, strict=True)) for values in product(*vary.values())]
    found = {}
    for change in [*changes, *lines]:
        label = ",".join(f"{key}={_text(value)}" for key, value in change.items())
        named = [load_recipe(recipe).name, *(part for part in label.split(",") if part)]
        name = ", ".join(part for part in named if not part.startswith("objective="))
        configs = [
            load_recipe(recipe, {**base, **change, "name": name, "seed": first + number})
            for number in range(seeds)
        ]
        found[label] = Variant(label, tuple(configs))
    return list(found.values())


def ablate(
    grid: Sequence[Variant],
    tasks: Sequence[Task],
    *,
    out: Path,
    data_root: Path | None = None,
    say: Say = print,
) -> int:
    """Train and measure every cell of a grid, write table and plots below ``out``, return how many cells failed.

    A cell that fails is told and the others go on; one that another process trains is left to it, so that
    several may share ``out``. Seeds are the outer loop, so that an unfinished grid has
    all lines with fewer seeds, not fewer lines.

    Raises:
        Interrupted: SIGTERM or SIGINT; the run at hand was saved.

    """
    failed = 0
    rounds = max(len(variant.seeds) for variant in grid)
    total = sum(len(variant.seeds) for variant in grid)
    done = 0
    for number in range(rounds):
        for variant in grid:
            config, done = variant.seeds[number], done + 1
            folder = variant.folder(out, config)
            say(f"[{done}/{total}] {variant.label or config.name}, seed {config.seed}")
            try:
                pretrain(
                    config, folder, resume=True, progress=True, say=say, command="the same command again"
                )
            except Interrupted:
                raise
            except BusyError:
                say(f"{variant.label or config.name}, seed {config.seed}: another process is at it")
                continue
            except PacoError as error:
                say(f"{variant.label or config.name}, seed {config.seed}: {error}")
                failed += 1
                continue
            failed += len(
                evaluate_all([f"paco:{folder}"], tasks, out=out, data_root=data_root, say=say, wait=True)
            )
    if PartialState().is_main_process:
        for path in write_ablation(grid, out, metrics_of_tasks(tasks)):
            say(str(path))
    return failed


def ablation_table(grid: Sequence[Variant], out: Path) -> Table:
    """Return the table of a grid: main metrics with intervals over people and seeds, and what training cost.

    Raises:
        PacoError: there is no row of the grid under ``out``.

    """
    rows = _rows(grid, out)
    tables = family_tables(
        rows, intervals=seed_intervals(registered_metrics()), heading="ablation", include_mimic=True
    )
    if not tables:
        raise PacoError(f"{out} holds no row of the grid. Were its tasks measured?")
    (table, *others) = tables
    if others:
        raise PacoError(f"{out} holds rows of several protocols; give the grid an --out of its own.")
    shown = [at for at, column in enumerate(table.columns) if column.main and column.subset == "all"]
    costs = tuple(
        Column(COST, 0, "train", "all", -1, order, name, "rank", better, main=True)
        for order, (name, better) in enumerate(COSTS.items())
    )
    found = {line.label: line for line in table.lines}
    told = []
    for variant in grid:
        names = [variant.method, *(f"paco:{variant.folder(out, config)}" for config in variant.seeds)]
        line = next((found[name] for name in names if name in found), None)
        if line is not None:
            cells = [line.cells[at] for at in shown]
            told.append(Line(variant.method, line.note, (*cells, *_cost_cells(variant, out))))
    caption = (
        f"{table.caption} Cost of pretraining, mean over seeds, as the machine that ran them had time for it; "
        "parameters are those trained, decoder and codebook included."
    )
    columns = (*(table.columns[at] for at in shown), *costs)
    return replace(table, columns=columns, lines=tuple(told), caption=caption)


def _rows(grid: Sequence[Variant], out: Path) -> list[Stored]:
    names = {f"paco:{variant.folder(out, config)}" for variant in grid for config in variant.seeds}
    rows = [stored for stored in load_rows(out / "rows").rows if stored.row.encoder in names]
    if not rows:
        raise PacoError(f"No rows of this grid under {out}. Were any tasks measured?")
    return rows


def differences(grid: Sequence[Variant], out: Path, metric_of: MetricOf) -> list[Table]:
    """Return what each line gains over the first by families, and its paired difference from it by tasks.

    See :mod:`paco_eval.analysis.compare`; none where the first line, or all others, were not measured.
    """
    rows = [
        replace(stored, row=stored.row.model_copy(update={"encoder": stored.row.method}))
        for stored in _rows(grid, out)
    ]
    baseline, measured = grid[0].method, {stored.row.method for stored in rows}
    if baseline not in measured or len(measured) == 1:
        return []
    _, *tables = comparison_tables(
        compare(rows, baseline, metric_of=metric_of, replicates=DIFFERENCE_REPLICATES)
    )
    places = {variant.method: at for at, variant in enumerate(grid)}
    return [
        replace(table, lines=tuple(sorted(table.lines, key=lambda line: places[line.label])))
        for table in tables
    ]


def validated(table: Table) -> Table:
    """Return what the lines of a grid's table score on validation people, see :mod:`paco_eval.report.tables.trials`."""
    kept = [at for at, column in enumerate(table.columns) if column.task != COST]
    columns = tuple(table.columns[at] for at in kept)
    shown = replace(
        table,
        columns=columns,
        lines=tuple(replace(line, cells=tuple(line.cells[at] for at in kept)) for line in table.lines),
    )
    scores, seeds = {}, {}
    for line in shown.lines:
        rows = [[stored.row for stored in cell.rows] if cell else [] for cell in line.cells]
        found = [[row.val_score for row in part if row.val_score is not None] for part in rows]
        scores[line.label] = [sum(part) / len(part) if part else None for part in found]
        seeds[line.label] = max(len(part) for part in rows)
    return trials_table(shown, scores, seeds)


def write_ablation(grid: Sequence[Variant], out: Path, metric_of: MetricOf) -> list[Path]:
    """Write the tables as Markdown, CSV and LaTeX and a plot for each main metric; return the files.

    ``ablation`` is measured on the test part, ``differences`` from the first line likewise; ``trials`` on
    validation people, for choosing settings.
    """
    table = ablation_table(grid, out)
    files = []
    named = {
        "ablation": [table],
        "differences": differences(grid, out, metric_of),
        "trials": [validated(table)],
    }
    for name, shown in named.items():
        texts = {
            "md": "\n".join(map(to_markdown, shown)),
            "csv": to_csv(shown),
            "tex": "\n".join(map(to_latex, shown)),
        }
        for suffix, text in texts.items() if shown else ():
            write_text(out / f"{name}.{suffix}", text)
            files.append(out / f"{name}.{suffix}")
    for position, column in enumerate(table.columns):
        cells = [(line.label, line.cells[position]) for line in table.lines]
        known = [(label, cell) for label, cell in cells if cell is not None and cell.value is not None]
        if column.task == COST or not known:
            continue
        points = tuple(
            (label, nan_of(cell.value), nan_of(cell.low), nan_of(cell.high)) for label, cell in known
        )
        dots = Dots(f"ablation · {column.task}", column.heading, points, column.decimals)
        figure = draw(Chart(column.task, column.task, "", (dots,)))
        files += save(figure, out / "plots" / f"ablation-{column.task.replace('/', '-')}")
    return files


def _cost_cells(variant: Variant, out: Path) -> list[Cell | None]:
    cards = [
        read_card(variant.folder(out, config))[0]
        for config in variant.seeds
        if (variant.folder(out, config) / "card.json").is_file()
    ]
    seconds = sum(card["seconds"] for card in cards) / len(cards)
    shown = sum(card["presentations"] for card in cards) / len(cards)
    trained = sum(p.numel() for p in build_objective(variant.seeds[0]).parameters() if p.requires_grad)
    values = (shown / seconds if shown and seconds else None, seconds, trained / 1e6)
    digits = (0, 0, 2)
    return [
        None if value is None else Cell(value, printed=f"{value:,.{places}f}")
        for value, places in zip(values, digits, strict=True)
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value}".lower() if isinstance(value, bool) else f"{value}"
