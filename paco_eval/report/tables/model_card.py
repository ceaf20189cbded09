"""What an exported encoder's card says of its scores, to people and to the hub: rows of these very weights, of no others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paco_eval.analysis.columns import column_of
from paco_eval.analysis.names import metric_title
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored, load_rows
from paco_fr.utils.errors import PacoError

TAGS = ("face", "feature-extraction", "representation-learning", "paco-eval")

LIBRARIES = {"timm": "timm", "onnx": "onnx", "half": "paco-eval"}
"""What loads each form of an export."""


def card_scores(run: Path, weight_hash: str, pixel_hash: str, encoder: str) -> str:
    """Return a Markdown table of :func:`rows_of`, one line a task, protocol and subset."""
    return _table(rows_of(run, weight_hash, pixel_hash, encoder))


def rows_of(run: Path, weight_hash: str, pixel_hash: str, encoder: str) -> list[Stored]:
    """Return the rows that a results folder holds for an encoder on clean pictures; those of miniatures are left out.

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
        if (stored.row.stated_hash, stored.row.pixel_hash) == (weight_hash, pixel_hash)
        and stored.row.data_kind != "mimic"
        and stored.row.level is None
    ]
    if not fits:
        held = ", ".join(
            sorted({f"{stored.row.encoder} ({stored.row.stated_hash})" for stored in loaded.rows})
        )
        raise PacoError(
            f"{run}: none of {len(loaded.rows)} rows is a score of these weights ({weight_hash}, pixels {pixel_hash}) "
            f"on whole data and clean pictures. It holds {held}. "
            f"Measure them: paco-eval evaluate {encoder} pixels constant --out {run}"
        )
    return fits


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


def hub_card(text: str, card: Mapping[str, Any], rows: Sequence[Stored], *, form: str, name: str) -> str:
    """Return a model card with the front matter that the hub reads in front.

    Args:
        text: the card as it was exported.
        card: of the checkpoint: licence, objective, source of its data.
        rows: scores of these very weights, see :func:`rows_of`.
        form: ``timm``, ``onnx`` or ``half``.
        name: of the model, for its scores.

    """
    from huggingface_hub import ModelCard, ModelCardData

    source = str(card["config"]["data"]["source"])
    hub = re.fullmatch(r"hf:([\w.-]+/[\w.-]+)", source)
    terms, other = _licence(str(card.get("licence", "unknown")))
    data = ModelCardData(
        library_name=LIBRARIES[form],
        pipeline_tag="image-feature-extraction",
        tags=[*TAGS, str(card["objective"])],
        datasets=[hub[1]] if hub else None,
        training_data=source,
        encoder_hash=str(card["encoder_hash"]),
        model_name=name if rows else None,
        eval_results=[_result(stored) for stored in rows] or None,
        license=terms,
        license_name=other,
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"))


def _licence(terms: str) -> tuple[str, str | None]:
    """Return terms in the hub's words: an identifier that it knows, or another with its name."""
    plain = terms.lower().replace(" ", "-")
    known = {
        "apache-2.0",
        "mit",
        "cc-by-4.0",
        "cc-by-nc-4.0",
        "cc-by-sa-4.0",
        "cc-by-nc-sa-4.0",
        "cc0-1.0",
        "unknown",
    }
    return (plain, None) if plain in known else ("other", terms)


def _result(stored: Stored) -> Any:
    from huggingface_hub import EvalResult

    row, metric = stored.row, stored.row.main
    said = {
        "version": row.task_version,
        "protocol": row.protocol,
        "row": row.key,
        "low": metric.low,
        "high": metric.high,
    }
    return EvalResult(
        task_type="image-feature-extraction", task_name=row.family, dataset_type=row.task.replace("/", "-"),
        dataset_name=row.task, dataset_split=row.split, dataset_config=row.subset, metric_type=row.main_metric,
        metric_name=metric_title(row.main_metric, metric.unit), metric_value=metric.value, metric_args=said,
    )  # fmt: skip
