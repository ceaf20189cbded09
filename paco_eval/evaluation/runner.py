"""Encoders x tasks: what is not measured yet is measured, and a row is written for each part as it comes.

Who measures is chosen here by task and protocol; it yields what it measured and knows of no row. Only this module
asks which rows are there, and writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from paco_eval.encoders import load_encoder
from paco_eval.encoders._identity import Network, looked_at, notes_of, recognise
from paco_eval.evaluation.cells import cells_of
from paco_eval.evaluation.codebook import diagnostics_of, measure_changed_codebook, measure_codebook
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.derived import measure_derived, share_pictures
from paco_eval.evaluation.frozen import frozen_variants, measure_frozen, subsets_of
from paco_eval.evaluation.protocols import FROZEN, OWN_CROP, NotApplicableError, Protocol
from paco_eval.evaluation.record import Measured, Part, identity_of, row_of, wanted_of
from paco_eval.features.cache_locks import keeping
from paco_eval.features.processes import together
from paco_eval.rows.compact import achieved_table
from paco_eval.rows.former import Former
from paco_eval.rows.samples import samples_of
from paco_eval.rows.schema import MOST_FAILED, NOTES, Row, row_key
from paco_eval.rows.store import ACHIEVED, SAMPLES, write_row
from paco_fr.contracts import CropContract, Encoder
from paco_fr.utils.errors import PacoError, no_exit, reason
from paco_fr.utils.files import owned_folder
from paco_fr.utils.types import Say
from tasks.derived import CLEAN
from tasks.kinds import load_kind
from tasks.task import Task

if TYPE_CHECKING:
    from paco_eval.finetune.model import Settings

Measurer = Callable[[Encoder, Data, Sequence[Any]], Iterator[Measured]]
"""Measures the wanted parts of a task, and perhaps others that come with them; in processes but the first it takes
part and need not yield."""


def evaluate_all(
    encoders: Sequence[str | Encoder],
    tasks: Sequence[Task],
    protocol: Protocol = FROZEN,
    *,
    out: Path,
    data_root: Path | None = None,
    train_identities: Path | None = None,
    overwrite: str = "missing",
    allow_random: bool = False,
    asked: dict[str, dict[str, Any]] | None = None,
    wait: bool = False,
    further: Mapping[str, Mapping[str, Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    say: Say = print,
) -> list[str]:
    """Evaluate every encoder on every task and return a line for each cell that failed.

    A failed cell is reported and the others go on; rows already written stay. That holds for errors that nobody
    foresaw, too, in an encoder or a task of someone else's say; their tracebacks go to ``out/errors.log``. Encoders
    are loaded first, so that a wrong name stops the call before anything is computed. What is used of the cache of
    features stays until the end.

    Args:
        encoders: names, or encoders that are already loaded.
        tasks: what to measure them on.
        protocol: how; tasks that it does not apply to are said to be left out.
        out: folder of rows, held by this run.
        data_root: folder of data sets.
        train_identities: a folder of people to fit whitening on, or to fine-tune on, for recognition sets
            without a train part.
        overwrite: ``never``, ``missing`` or ``always``.
        allow_random: go on with features that depend on chance or on the batch.
        asked: filled with the identifying fields of all that was asked for, by key, measured now or before.
        wait: until another run into ``out`` has ended, instead of refusing.
        further: further fields of rows by encoder: the name that tables call it.
        settings: of the call, which rows repeat.
        say: takes lines for the user.

    """
    loaded = [load_encoder(one) if isinstance(one, str) else looked_at(one) for one in encoders]
    state = PartialState()
    failed: list[str] = []
    with keeping(), owned_folder(out, wait=wait) if state.is_main_process else nullcontext():
        former = Former(out / "rows")
        for encoder in loaded:
            recognise(encoder, [Network(**each) for each in former.networks])
        if state.num_processes > 1:  # one process says who they are
            (hashes,) = broadcast_object_list([[encoder.weight_hash for encoder in loaded]])
            for encoder, told in zip(loaded, hashes, strict=True):
                encoder.weight_hash = told
        for task, places, found in measured_on(loaded, tasks, protocol, data_root, train_identities):
            own = [loaded[place] for place in places]
            if isinstance(found, NotApplicableError):
                say(f"Left out {found}")
                continue
            if isinstance(found, Exception):
                why = reason(found, task.name, out)
                say(f"{task.name}: {why}")
                failed += [f"{task.name}  {encoder.name}: {why}" for encoder in own]
                continue
            for data in found:
                _share(own, data, out, overwrite)
            for encoder, data in product(own, found):
                fields = {**(further or {}).get(encoder.name, {}), "settings": dict(settings or {})}
                measured = partial(
                    measure, encoder, data, out=out, overwrite=overwrite, say=say, former=former,
                    allow_random=allow_random, asked=asked, fields=fields,
                )  # fmt: skip
                failed += _of_cell(measured, f"{task.name}  {encoder.name}", protocol, out, say)
    return failed


def _of_cell(
    measured: Callable[[], list[Row]], cell: str, protocol: Protocol, out: Path, say: Say
) -> list[str]:
    """Measure a cell, say what came of it, and return a line if it failed."""
    try:
        rows = measured()
    except NotApplicableError as error:
        say(f"Left out {error}")
        return []
    except Exception as error:
        if protocol.trains and PartialState().num_processes > 1 and not isinstance(error, PacoError):
            raise  # the others wait in the middle of a step; the launcher ends them
        failed = f"{cell}: {reason(error, cell, out)}"
        say(failed)
        return [failed]
    for row in rows:
        say(_line(row))
    for note in {str(row.chosen[name]) for row in rows for name in NOTES if name in row.chosen}:
        say(f"{cell}: note that its {note}")
    return []


def measured_on(
    encoders: Sequence[Encoder],
    tasks: Sequence[Task],
    protocol: Protocol,
    data_root: Path | None,
    train_identities: Path | None,
    *,
    planned: bool = False,
) -> Iterator[tuple[Task, list[int], list[Data] | Exception]]:
    """Yield each task with places of encoders and the data that a protocol measures of it, or why there are none.

    All encoders share the data of a task; but where each is to have its own crop, those that need the same one do.
    """
    for task in tasks:
        for crop, places in _by_crop(encoders, task, protocol):
            found: list[Data] | Exception
            try:
                with no_exit(f"the reader of {task.name}"):
                    found = variants(
                        Data.load(task, data_root, protocol, train_identities, crop, planned=planned)
                    )
            except Exception as error:
                found = error
            yield task, places, found


def _by_crop(
    encoders: Sequence[Encoder], task: Task, protocol: Protocol
) -> list[tuple[CropContract | None, list[int]]]:
    """Return the places of encoders by the crop that is cut for them, None for that of task or protocol."""
    if protocol.crop != OWN_CROP:
        return [(None, list(range(len(encoders))))]
    found: dict[CropContract, list[int]] = {}
    for place, encoder in enumerate(encoders):
        found.setdefault(encoder.required_crop or task.crop, []).append(place)
    return list(found.items())


def variants(data: Data) -> list[Data]:
    """Return the data that the protocol asked for measures, one for each draw or training.

    Raises:
        NotApplicableError: the task has nothing that the protocol could change.

    """
    if not data.protocol.trains:
        return frozen_variants(data)
    from paco_eval.evaluation.finetuned import finetuned_variants  # timm takes seconds to load

    return finetuned_variants(data)


def measure(
    encoder: Encoder,
    data: Data,
    *,
    out: Path,
    overwrite: str = "missing",
    say: Say = print,
    settings: Settings | None = None,
    former: Former | None = None,
    allow_random: bool = False,
    asked: dict[str, dict[str, Any]] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Measure one encoder on one task and write a row for each part; return the new rows, in the first process.

    Encoders without a codebook are passed over where one is measured, and kinds that need landmarks where the
    records have none; either is said.

    Args:
        encoder: loaded.
        data: as :func:`variants` gives them.
        out: folder of rows.
        overwrite: ``never``, ``missing`` or ``always``.
        say: takes lines for the user.
        settings: of fine-tuning, by default those of the protocol.
        allow_random: go on with features that depend on chance or on the batch; the row says so.
        asked: filled with the identifying fields of all parts, by key.
        former: rows that were there before, to say why something is measured again.
        fields: of the rows, besides.

    Raises:
        PacoError: the task's crop is not the one the encoder requires, rows exist under ``never``, or whatever
            extraction and fitting meet.

    """
    from paco_eval.testing import check_encoder

    data = data.seen_by(encoder)
    together(lambda: check_encoder(encoder, strict=False, allow_random=allow_random), PartialState())
    identities = {part: identity_of(encoder, data, part) for part in _parts(encoder, data, say)}
    if asked is not None:
        asked.update({row_key(fields): fields for fields in identities.values()})
    wanted = wanted_of(encoder, data, identities, out, overwrite, say) if identities else []
    if not wanted:
        return []
    whys = (
        {former.why(identities[part], data.fingerprint) for part in wanted} if former is not None else set()
    )
    if overwrite != "always" and (told := sorted(whys - {""})):
        say(f"{data.task.name}  {encoder.name}: measured again: {'; '.join(told)}")
    measurer = _measurer_of(data.task)
    if data.protocol.trains:
        from paco_eval.evaluation.finetuned import measure_finetuned

        measurer = partial(measure_finetuned, states=out / "fine-tune", say=say, settings=settings)
    rows = []
    for measured in measurer(encoder, data, wanted):
        notes = notes_of(encoder, measured.decision.choice.layer[0])
        if notes:
            measured = replace(measured, chosen={**measured.chosen, **notes})
        row = row_of(encoder, data, identities[measured.part], measured).model_copy(update=dict(fields or {}))
        clean = row_key(identities[CLEAN]) if CLEAN in identities and measured.part != CLEAN else ""
        _write(out / "rows", row, measured, data.task, clean)
        rows.append(row)
    return rows


def _measurer_of(task: Task) -> Measurer:
    """Return what measures frozen features on a task: a head, or the encoder's own diagnostics, clean or changed."""
    if load_kind(task.kind).HEAD == "diagnostics":
        return measure_codebook if task.sweep is None else measure_changed_codebook
    return measure_frozen if task.sweep is None else measure_derived


def _parts(encoder: Encoder, data: Data, say: Say) -> Sequence[Part]:
    """Return the parts of a task that have rows of their own."""
    task, tuned = data.task, data.protocol.trains
    own = load_kind(task.kind).HEAD == "diagnostics" and not tuned
    if own and diagnostics_of(encoder) is None:
        say(f"{task.name}  {encoder.name}: has no codebook, nothing to measure")
        return []
    if task.sweep is not None and not tuned:
        return cells_of(data, say)
    return ["all"] if own else [*data.views, *subsets_of(data)]


def _share(encoders: Sequence[Encoder], data: Data, out: Path, overwrite: str) -> None:
    """Have changed pictures of a derived task made once for all encoders that lack them."""
    if data.protocol.trains or _measurer_of(data.task) is not measure_derived:
        return
    asked: dict[int, list[tuple[Encoder, Sequence[Any]]]] = {}
    for encoder in encoders:
        with suppress(Exception):  # said when it is measured
            own = data.seen_by(encoder)
            identities = {part: identity_of(encoder, own, part) for part in cells_of(own)}
            wanted = wanted_of(encoder, own, identities, out, overwrite, lambda _: None)
            asked.setdefault(own.task.crop.canvas, []).append((encoder, wanted))
    for canvas, several in asked.items():
        share_pictures([(encoder, wanted) for encoder, wanted in several if wanted], data.at(canvas))


def _write(folder: Path, row: Row, measured: Measured, task: Task, clean: str) -> None:
    """Write a row, its items, and what is kept beside them; what they share with the row of key ``clean`` but once."""
    beside: dict[str, bytes] = {}
    if measured.shown is not None and (
        samples := samples_of(task, measured.items, measured.shown, measured.outputs)
    ):
        beside[SAMPLES] = samples
    if measured.achieved is not None:
        beside[ACHIEVED] = achieved_table(measured.achieved)
    base = folder / f"{clean}.json"
    write_row(folder, row, measured.items, clean=base if clean and base.exists() else None, beside=beside)


def _line(row: Row) -> str:
    main = row.main
    interval = f" [{main.low:.4g}, {main.high:.4g}]" if main.low is not None else ""
    shown = "undefined" if main.value is None else f"{main.value:.4g}"
    subset = "" if row.subset == "all" else f" ({row.subset}{f' {row.level}' if row.level else ''})"
    probe = "" if row.probe_seed is None else f"  {row.protocol}, draw {row.probe_seed}"
    void = f", more than the {100 * MOST_FAILED:g} % with which a number stands" if row.void else ""
    failed = f"{row.failures}, scored as the worst{void}" if row.failures else ""
    said = [main.warning, failed, *_partial(row)]
    notes = "".join(f"; {note}" for note in said if note)
    return f"{row.task}{subset}{probe}  {row.encoder}: {row.main_metric} {shown}{interval}{notes}"


def _partial(row: Row) -> list[str]:
    return [f"PART of the official set: {row.chosen.get('missing')}"] if row.data_kind == "partial" else []
