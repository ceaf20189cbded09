"""The commands as functions, apart from ``evaluate`` and those that show rows, see :mod:`paco_eval.api.tables`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from paco_eval.api.evaluate import data_folder, silent
from paco_eval.encoders import load_encoder
from paco_eval.experiments.explain.explain import LIMIT, explain_row
from paco_eval.experiments.explain.explanation import Explanation
from paco_eval.experiments.repro import Reproduction, reproduce
from paco_eval.features.embed import Embedding, write_embedding
from paco_eval.features.embed import embed as embed_pictures
from paco_eval.features.forward import set_up
from paco_eval.features.processes import use_device
from paco_eval.testing import check_encoder
from paco_fr.config import load_recipe, set_fields
from paco_fr.export import export_half, export_onnx, export_timm
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import never_onto
from paco_fr.utils.types import Say
from tasks.registry import named_tasks
from tasks.registry import tasks_from as read_tasks
from tasks.task import Task
from tasks.user_tasks import own_task

Place = str | Path


def pretrain(
    *,
    recipe: str = "tiny",
    objective: str | None = None,
    data: str | None = None,
    crops: str | None = None,
    seed: int | None = None,
    out: Place | None = None,
    resume: bool = False,
    set: Mapping[str, Any] | Sequence[str] = (),
    progress: bool = False,
    say: Say = silent,
    command: str = "",
) -> Path:
    """Pretrain an encoder and return the folder of its checkpoint.

    Args:
        recipe: a recipe's name or a TOML file.
        objective: ``paco``, ``mae``, ``simmim``, ``data2vec`` or ``untrained``; by default the recipe's.
        data: ``synthetic[:identities=N,...]``, a folder, parquet, or ``hf:OWNER/NAME``.
        crops: one kind of crop only: ``aligned``, ``box`` or ``whole``.
        seed: of weights, order and masks.
        out: folder of the checkpoint, by default under ``paco-results/pretrain``.
        resume: continue an interrupted run in ``out``.
        set: fields of the recipe that are changed, ``{"masking.ratio": 0.7}`` or ``["masking.ratio=0.7"]``.
        progress: whether a bar is shown.
        say: is told how it goes.
        command: that would continue the run, for its messages.

    Raises:
        PacoError: a field, a source or a folder that cannot be used.

    """
    from paco_fr.train.pretrain import pretrain as train

    config = load_recipe(recipe, changes_of(objective, data, crops, seed, set))
    folder = Path(
        out or Path("paco-results") / "pretrain" / f"{config.objective}-{config.name}-{config.seed}"
    )
    train(config, folder, resume=resume, progress=progress, say=say, command=command)
    return folder


def changes_of(
    objective: str | None, data: str | None, crops: str | None, seed: int | None, fields: Mapping[str, Any] | Sequence[str]
) -> dict[str, Any]:  # fmt: skip
    """Return the fields of a recipe that a call changes."""
    given = dict(fields) if isinstance(fields, Mapping) else set_fields(fields)
    shares = {crops: 1.0} if crops else None
    named = {"objective": objective, "data.source": data, "seed": seed, "data.crops": shares}
    return given | {key: value for key, value in named.items() if value is not None}


def embed(
    encoder: str,
    images: Place | Sequence[Place],
    *,
    out: Place | None = "features.parquet",
    block: str = "",
    reduction: str = "",
    crop: str = "",
    precision: str = "float32",
    device: str = "auto",
    trust: bool = False,
    allow_random: bool = False,
    progress: bool = False,
) -> Embedding:
    """Return the features of own pictures, and write them where ``out`` is a file.

    Args:
        encoder: by name.
        images: files, or one folder, parquet file or ``hf:OWNER/NAME``.
        out: a ``.parquet`` file, or ``.npy`` with the names beside it; None writes nothing.
        block: which of the encoder's blocks, by default its own choice.
        reduction: ``mean``, ``grid4``, ``global`` or ``flat``; by default global, else its first.
        crop: ``whole``, ``box``, ``farl`` or ``arcface``; by default what it requires, else whole.
        precision: of the forward pass.
        device: ``auto``, ``cpu`` or ``cuda``.
        trust: whether code that comes with an encoder may run.
        allow_random: go on with features that depend on chance or on the batch.
        progress: whether a bar is shown.

    """
    several = [images] if isinstance(images, (str, Path)) else list(images)
    if out is not None:
        if Path(out).suffix not in (".parquet", ".npy"):
            raise PacoError(f"{out}: features are written as .parquet or .npy.")
        never_onto(Path(out), *map(Path, several))
    use_device(device)
    loaded = set_up(load_encoder(encoder, trust=trust), precision)
    check_encoder(loaded, strict=False, allow_random=allow_random)
    found = embed_pictures(
        loaded, list(map(str, several)), block=block, reduction=reduction, crop=crop, progress=progress
    )
    if out is not None:
        from accelerate import PartialState

        if PartialState().is_main_process:
            write_embedding(found, Path(out))
    return found


def repro(
    row: Place,
    *,
    checkpoint: Place | None = None,
    encoder_from: str | None = None,
    trust: bool = False,
    data_root: Place | None = None,
    tasks_from: Place | None = None,
    folder: str | None = None,
    train_identities: Place | None = None,
    cached: bool = False,
    say: Say = silent,
) -> Reproduction | None:
    """Measure a stored row again and return what came of it; None in processes other than the first.

    Args:
        row: its file, or ``ARCHIVE#KEY``.
        checkpoint: folder of weights trained again.
        encoder_from: ``FILE:CLASS`` that gives the encoder of a row of a module; needs ``trust``.
        trust: whether code that comes with an encoder may run.
        data_root: folder of data sets; by default what ``PACO_DATA`` names.
        tasks_from: the Python file that declares the task.
        folder: the task on own pictures; by default as the row says.
        train_identities: the folders of people that the row was fitted on.
        cached: trust features and rendered faces in the cache.
        say: is told how it goes.

    """
    use_device("auto")
    return reproduce(
        row, _known(tasks_from, folder), checkpoint=_path(checkpoint), encoder_from=encoder_from, trust=trust,
        data_root=data_folder(data_root), train_identities=_path(train_identities), cached=cached, say=say,
    )  # fmt: skip


def explain(
    row: Place,
    *,
    limit: int = LIMIT,
    out: Place | None = None,
    data_root: Place | None = None,
    encoder_from: str | None = None,
    tasks_from: Place | None = None,
    folder: str | None = None,
    trust: bool = False,
) -> Explanation:
    """Return why the number of a row may be what it is.

    Args:
        row: its file, or ``ARCHIVE#KEY``.
        limit: pictures of each part that are looked at.
        out: folder of the sheet of worst faces; without it none is written.
        data_root: folder of data sets; by default what ``PACO_DATA`` names.
        encoder_from: ``FILE:CLASS`` that gives the encoder of the row, where its name cannot be loaded; needs ``trust``.
        tasks_from: the Python file that declares the task.
        folder: the task on own pictures; by default as the row says.
        trust: whether code that comes with an encoder may run.

    Raises:
        PacoError: as :func:`paco_eval.experiments.explain.explain.explain_row`.

    """
    use_device("auto")
    return explain_row(
        row, _known(tasks_from, folder), encoder_from=encoder_from, data_root=data_folder(data_root), limit=limit,
        out=_path(out), trust=trust,
    )  # fmt: skip


def _known(tasks_from: Place | None, folder: str | None) -> dict[str, Task]:
    """Return every task that a row may be of, by name: those of a file and on own pictures among them."""
    declared = read_tasks(Path(tasks_from)) if tasks_from else []
    return named_tasks([*declared, *([own_task(folder)] if folder else [])])


def export(checkpoint: Place, *, to: str, out: Place | None = None, scores: Place | None = None) -> Path:
    """Write an encoder that others load without this package, and return its folder.

    Args:
        checkpoint: folder that ``pretrain`` wrote.
        to: ``timm``, ``onnx`` or ``half``.
        out: folder, by default in the checkpoint's.
        scores: the ``out`` of an evaluation, whose scores of these very weights the card lists.

    """
    forms = {"timm": export_timm, "onnx": export_onnx, "half": export_half}
    if to not in forms:
        raise PacoError(f"Nothing is exported to '{to}'. Known: {', '.join(forms)}.")
    folder = Path(out or Path(checkpoint) / to)
    told = None
    if scores is not None:
        from paco_eval.report.tables.model_card import card_scores

        measurable = folder if to == "half" else checkpoint  # rounded weights have scores of their own
        told = partial(card_scores, Path(scores), encoder=f"paco:{measurable}")
    forms[to](Path(checkpoint), folder, told)
    return folder


def _path(place: Place | None) -> Path | None:
    return None if place is None else Path(place)
