"""Encoders and rows to the hub, rows from it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from paco_eval.encoders._hub import pulled, pushed
from paco_eval.report.tables.model_card import hub_card, rows_of
from paco_eval.rows.archive import is_archive
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Loaded, load_rows
from paco_fr.checkpoint import load_encoder, raw_card
from paco_fr.export import export_whole
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import write_text

Place = str | Path

ROWS = ("rows/*.json", "rows/*.parquet")
ARCHIVE = ("archive.json", "encoders.json", "rows.jsonl", "cells/*.csv", "items/*.parquet")
"""Files of a folder of results that travel; pictures of faces, logs and reports stay."""


def push_encoder(
    checkpoint: Place, exported: Place, repository: str, *, to: str, scores: Place | None = None
) -> str:
    """Put an exported encoder into a repository of the hub and return its address.

    Its card gets the front matter that the hub reads, with the scores of these very weights. Beside a timm folder the
    whole checkpoint goes along under ``paco/``, so that ``paco:hf:OWNER/NAME`` loads the same weights.

    Args:
        checkpoint: folder that ``pretrain`` wrote.
        exported: what :func:`paco_eval.api.commands.export` returned for it.
        repository: ``OWNER/NAME``, made if need be.
        to: the form of the export.
        scores: the ``out`` of an evaluation.

    Raises:
        PacoError: the hub cannot be reached or does not let us.

    """
    checkpoint, folder = Path(checkpoint), Path(exported)
    card = raw_card(folder if to == "half" else checkpoint)
    pixels = load_encoder(checkpoint)[2].pixels
    called = f"paco:{folder if to == 'half' else checkpoint}"
    rows = rows_of(Path(scores), str(card["encoder_hash"]), pixels.hash, called) if scores is not None else []
    readme = folder / "README.md"
    name = repository.rpartition("/")[2]
    plain = readme.read_text(encoding="utf-8")
    write_text(readme, hub_card(plain, card, rows, form=to, name=name))
    if to == "timm":
        export_whole(checkpoint, folder / "paco")
    return pushed(
        folder, repository, message=f"{card['objective']} {card['config']['name']}, exported to {to}"
    )


def push_results(run: Place, repository: str) -> str:
    """Put the rows of a folder of results, or an archive, into a data set of the hub and return its address.

    Raises:
        PacoError: there are no rows, some cannot be read, or the hub does not take them.

    """
    run = Path(run)
    loaded = _whole(run)
    folder = run if is_archive(run) or (run / "rows").is_dir() else run.parent
    url = pushed(folder, repository, kind="dataset", message=f"{len(loaded.rows)} rows",
                 patterns=ARCHIVE if is_archive(folder) else ROWS)  # fmt: skip
    with tempfile.TemporaryDirectory() as own:
        write_text(Path(own) / "README.md", _dataset_card([stored.row for stored in loaded.rows], repository))
        pushed(Path(own), repository, kind="dataset", message="Card")
    return url


def pull_results(repository: str, out: Place, revision: str = "") -> Loaded:
    """Fetch rows that :func:`push_results` put there into a folder and return them, verified.

    Raises:
        PacoError: they cannot be fetched, or are not what they were.

    """
    pulled(repository, [*ROWS, *ARCHIVE, "README.md"], kind="dataset", revision=revision, out=Path(out))
    return _whole(Path(out))


def _whole(folder: Path) -> Loaded:
    loaded = load_rows(folder)
    if loaded.problems:
        raise PacoError(loaded.problems[0])
    return loaded


def _dataset_card(rows: list[Row], repository: str) -> str:
    from huggingface_hub import DatasetCardData

    terms = sorted({row.licences["data"] for row in rows if "data" in row.licences})
    data = DatasetCardData(tags=["face", "benchmark", "paco-eval"], license="other", license_name="see below")
    tasks = "\n".join(f"- {name}" for name in sorted({row.task for row in rows}))
    encoders = "\n".join(f"- `{name}`" for name in sorted({row.encoder for row in rows}))
    said = "\n".join(f"- {one}" for one in terms)
    return f"""---
{data.to_yaml()}
---

# {len(rows):,} rows of paco-eval

`paco-eval results pull {repository} --out FOLDER` fetches them; `paco-eval report FOLDER` shows them, `paco-eval rows check
FOLDER` says whether they hold.

## Tasks

{tasks}

## Encoders

{encoders}

## Terms of the data that were measured on

{said}
"""
