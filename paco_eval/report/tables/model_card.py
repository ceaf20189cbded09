"""What an exported encoder's card says of its scores: rows of these very weights, and of no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paco_eval.analysis.columns import column_of
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored, load_rows
from paco_fr.utils.errors import PacoError


def card_scores(run: Path, weight_hash: str, pixel_hash: str, encoder: str) -> str:
    """Return a Markdown table of the main metrics that a results folder holds for an encoder.

    One line a task, protocol and subset on clean pictures; rows of miniatures are left out.

    Args:
        run: the ``--out`` folder of an evaluation.
        weight_hash: of the weights that are exported; rows of others do not count, whatever their encoder's name.
        pixel_hash: of their pixel contract, which rows must have been measured under.
        encoder: what to call the encoder in the command that measures it.

    Raises:
        PacoError: the folder holds no such row; the message names what it holds and the command.

    """
    loaded = load_rows(run)
    if not loaded.rows and loaded.problems:
        raise PacoError(loaded.problems[0])
    fits = [
        stored
        for stored in loaded.rows
        if (stored.row.weight_hash, stored.row.pixel_hash) == (weight_hash, pixel_hash)
        and stored.row.data_kind != "mimic"
        and stored.row.level is None
    ]
    if not fits:
        held = ", ".join(
            sorted({f"{stored.row.encoder} ({stored.row.weight_hash})" for stored in loaded.rows})
        )
        raise PacoError(
            f"{run}: none of {len(loaded.rows)} rows is a score of these weights ({weight_hash}, pixels {pixel_hash}) "
            f"on whole data and clean pictures. It holds {held}. "
            f"Measure them: paco-eval evaluate {encoder} pixels constant --out {run}"
        )
    return _table(fits)


def _table(rows: Sequence[Stored]) -> str:
    lines = sorted(_line(stored.row) for stored in rows)
    packages = sorted({f"paco-fr {stored.row.versions.get('paco-fr', 'unknown')}" for stored in rows})
    return "\n".join(
        [
            "| task | protocol | metric | value | interval | scored |",
            "| :-- | :-- | :-- | --: | --: | --: |",
            *lines,
            "",
            f"The main metric of each task on its test part, with intervals at {_confidence(rows)}; measured with "
            f"{', '.join(packages)}.",
            "A score says little without those of other encoders on the same task.",
        ]
    )


def _line(row: Row) -> str:
    column, metric = column_of(row), row.main
    low, high = column.number(metric.low), column.number(metric.high)
    interval = "–" if metric.low is None else f"[{low}, {high}]"
    cells = [
        f"{row.family}/{column.place}",
        row.protocol,
        column.heading,
        column.number(metric.value),
        interval,
        f"{row.n_scored} of {row.n_expected}",
    ]
    return f"| {' | '.join(cells)} |"


def _confidence(rows: Sequence[Stored]) -> str:
    shares = sorted({stored.row.interval.confidence for stored in rows if stored.row.interval})
    return " and ".join(f"{100 * share:g} %" for share in shares) or "no stated level"
