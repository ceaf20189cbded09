"""``paco_eval.evaluate``: any encoder or plain module in, results with their table back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from paco_eval.analysis.names import names_of
from paco_eval.encoders import load_encoder
from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._function import FunctionEncoder
from paco_eval.encoders._identity import identified, structure_of
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.features.cache import size_of
from paco_eval.features.cache_locks import keeping
from paco_eval.features.forward import set_up
from paco_eval.features.processes import use_device
from paco_fr.checkpoint import weight_hash
from paco_fr.contracts import Encoder, PixelContract
from paco_fr.utils.errors import MissingDataError, PacoError, unknown_name
from paco_fr.utils.types import Say
from tasks.registry import select
from tasks.registry import tasks_from as read_tasks
from tasks.task import Task
from tasks.user_tasks import own_task

if TYPE_CHECKING:  # what only some calls need takes seconds to import
    from paco_eval.api.results import Results
    from paco_eval.finetune.margin import MarginName
    from paco_eval.finetune.model import TunedHead

Evaluated = str | nn.Module | Encoder


@dataclass(frozen=True)
class Chosen:
    """Tasks that a call means: those with data, those met by a pattern without, a line for each named one without."""

    usable: list[Task] = field(default_factory=list)
    skipped: list[Task] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def chosen_tasks(
    tasks: str | Task | Sequence[str | Task] | None,
    *,
    tasks_from: str | Path | None = None,
    folder: Sequence[str] = (),
    data_root: str | Path | None = None,
) -> Chosen:
    """Return the tasks that are meant, see :func:`evaluate`.

    Raises:
        PacoError: a name, pattern, file or folder that means nothing.
        MissingDataError: none of them has data, and one was named outright.

    """
    given = [tasks] if isinstance(tasks, (str, Task)) else list(tasks or [])
    own = [own_task(one) for one in folder]
    patterns = ",".join(one for one in given if isinstance(one, str)) or ("" if own or given else "*")
    root = None if data_root is None else Path(data_root)
    declared = read_tasks(Path(tasks_from)) if tasks_from else ()
    meant = [(one, True) for one in given if isinstance(one, Task)]
    meant += select(patterns, declared) if patterns else []
    found = Chosen()
    for task, named in [*meant, *((one, True) for one in own)]:
        missing = task.missing(root)
        if not missing:
            found.usable.append(task)
        elif named:
            where = root or "--data-root (not given)"
            found.absent.append(f"{task.name}: {', '.join(missing)} not under {where}. {task.obtain}")
        else:
            found.skipped.append(task)
    if found.absent and not found.usable:
        raise MissingDataError("\n".join(found.absent))
    if not found.usable:
        raise PacoError(f"None of the tasks {patterns} has data. See `paco-eval list tasks`.")
    return found


def data_folder(data_root: str | Path | None) -> Path | None:
    """Return the folder of data sets that was given, else the one that ``PACO_DATA`` names."""
    found = data_root or os.environ.get("PACO_DATA")
    return Path(found) if found else None


def silent(text: str) -> None:
    """Say nothing."""


def evaluate(
    encoders: Evaluated | Sequence[Evaluated] = (),
    tasks: str | Task | Sequence[str | Task] | None = None,
    *,
    encoder_from: Sequence[str] = (),
    protocol: str = "frozen",
    shots: str | Sequence[str] = "1%,10%",
    seeds: int = 3,
    epochs: int = 30,
    out: str | Path = "paco-results",
    data_root: str | Path | None = None,
    overwrite: str = "missing",
    limit: int | None = None,
    precision: str = "float32",
    device: str = "auto",
    trust: bool = False,
    tasks_from: str | Path | None = None,
    folder: Sequence[str] = (),
    train_identities: str | Path | None = None,
    margin: MarginName = "cosface",
    head: TunedHead = "linear",
    crop: str | None = None,
    allow_random: bool = False,
    cache_limit: str | None = None,
    name: str | None = None,
    names: Mapping[str, str] | Sequence[str] = (),
    baseline: str | None = None,
    pixels: PixelContract | None = None,
    say: Say = silent,
) -> Results:
    """Measure encoders on tasks, write a row for each score, and return the results of these encoders in ``out``.

    Args:
        encoders: a name (``timm:...``), an object with the protocol of :class:`paco_fr.contracts.Encoder`, or a
            plain module; or several of these. A module takes prepared pictures (B, 3, S, S) and gives (B, D),
            (B, N, D) or (B, C, H, W); it is put into evaluation mode and restored afterwards.
        tasks: names or globs, or tasks; by default all that have data.
        encoder_from: ``FILE:CLASS`` of encoder classes in Python files; need ``trust``.
        protocol: see :mod:`paco_eval.evaluation.protocols`.
        shots: for few-shot: shares of the fitted units, or numbers per class.
        seeds: draws for few-shot, trainings for fine-tune.
        epochs: for fine-tune.
        out: folder of rows; what is there already is not measured again.
        data_root: folder of data sets; by default what ``PACO_DATA`` names.
        overwrite: ``never``, ``missing`` or ``always``.
        limit: at most so many pictures of each part.
        precision: of the forward pass: ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto``, ``cpu`` or ``cuda``.
        trust: whether code that comes with an encoder may run.
        tasks_from: a Python file that declares tasks.
        folder: tasks on own pictures, ``FAMILY=PATH[,key=value,...]``.
        train_identities: folder of people to fit or fine-tune on, for recognition sets without a train part.
        margin: loss of fine-tune on people.
        head: of fine-tune: ``linear``, or ``farl`` for landmarks and parsing after FaRL's recipe.
        crop: name of a crop in place of those of the tasks; rows say so.
        allow_random: go on with features that depend on chance or on the batch; rows say so.
        cache_limit: size that the cache of features is kept to, such as ``20GB``.
        name: what tables call the encoder, where it is one; of a plain module also its name in rows.
        names: what they call several: encoder -> name, or ``ENCODER=NAME`` texts.
        baseline: encoder that the table shows differences to.
        pixels: how a plain module wants its pictures; not needed for timm's, which say it themselves.
        say: is told how it goes.

    Raises:
        PacoError: as on the command line; a task that failed is an error after the others ran.
        MissingDataError: a task named outright has no data.

    """
    call = dict(locals())
    run = measure_call(**call)
    problems = [*run.failed, *run.absent]
    if run.failed:
        raise PacoError("\n".join(problems))
    if run.absent:
        raise MissingDataError("\n".join(problems))
    return run.results


ECHOED = (
    "encoders", "tasks", "encoder_from", "protocol", "shots", "seeds", "epochs", "limit", "precision", "trust",
    "tasks_from", "folder", "train_identities", "margin", "head", "crop", "allow_random",
)  # fmt: skip
"""Settings of a call that its rows repeat, where they are not the default."""


class Run(NamedTuple):
    """What a call of ``evaluate`` came to.

    Attributes:
        results: of its encoders.
        encoders: as loaded.
        tasks: that had data.
        failed: a line for each cell that failed.
        absent: a line for each task named outright without data.

    """

    results: Results
    encoders: list[Encoder]
    tasks: list[Task]
    failed: list[str]
    absent: list[str]


class Prepared(NamedTuple):
    """What a call of :func:`evaluate` means, before anything is loaded.

    Attributes:
        asked: its settings, defaults among them.
        encoders: as they were given.
        chosen: tasks.
        protocol: of all of them.
        data_root: folder of data sets.

    """

    asked: Mapping[str, Any]
    encoders: list[Evaluated]
    chosen: Chosen
    protocol: Protocol
    data_root: Path | None

    def loaded(self) -> list[Encoder]:
        """Return the encoders, ready to run where and as the call says."""
        asked = self.asked
        use_device(asked["device"])
        found = (
            as_encoder(one, asked["pixels"], asked["name"] or "", trust=asked["trust"])
            for one in self.encoders
        )
        return [set_up(one, asked["precision"]) for one in found]


def prepared(**call: Any) -> Prepared:
    """Read a call of :func:`evaluate`, whose settings these are, and say which tasks are skipped.

    Raises:
        PacoError: a setting that means nothing; nothing was computed yet.
        MissingDataError: as :func:`chosen_tasks`.

    """
    asked = {name: parameter.default for name, parameter in signature(evaluate).parameters.items()} | call
    if asked["cache_limit"]:
        size_of(asked["cache_limit"])
    given, root = asked["encoders"], data_folder(asked["data_root"])
    several: list[Evaluated] = list(given) if isinstance(given, (list, tuple)) else [given]
    several += [f"file:{one}" for one in asked["encoder_from"]]
    if not several:
        raise PacoError("No encoder was named.")
    named = sum(isinstance(one, nn.Module) or len(several) == 1 for one in several)
    if asked["name"] and named != 1:
        raise PacoError("--name is for one encoder; for several give --names ENCODER=NAME.")
    chosen = chosen_tasks(
        asked["tasks"], tasks_from=asked["tasks_from"], folder=asked["folder"], data_root=root
    )
    for task in chosen.skipped:
        asked["say"](f"Skipped {task.name}: no data. {task.obtain}")
    shots = asked["shots"]
    protocol = Protocol.asked(
        asked["protocol"], shots=shots.split(",") if isinstance(shots, str) else shots, seeds=asked["seeds"],
        epochs=asked["epochs"], margin=asked["margin"], head=asked["head"], crop=asked["crop"] or "",
        limit=asked["limit"],
    )  # fmt: skip
    return Prepared(asked, several, chosen, protocol, root)


def measure_call(**call: Any) -> Run:
    """Carry out a call of :func:`evaluate`, whose settings these are, and say what failed instead of raising."""
    ready = prepared(**call)
    asked, chosen, out = ready.asked, ready.chosen, Path(ready.asked["out"])
    modules = [(one, one.training, _grads(one)) for one in ready.encoders if isinstance(one, nn.Module)]
    measured: dict[str, dict[str, Any]] = {}
    people = asked["train_identities"]
    try:
        loaded = ready.loaded()
        aliases = _aliases([one.name for one in loaded], asked["name"], asked["names"])
        with keeping(asked["cache_limit"] or ""):
            failed = evaluate_all(
                loaded, chosen.usable, ready.protocol, out=out, data_root=ready.data_root, overwrite=asked["overwrite"],
                train_identities=None if people is None else Path(people), allow_random=asked["allow_random"],
                asked=measured, further={name: {"alias": alias} for name, alias in aliases.items()},
                settings=_settings(asked), say=asked["say"],
            )  # fmt: skip
    finally:
        for module, training, grads in modules:
            module.train(training)
            for parameter, wanted in zip(module.parameters(), grads, strict=True):
                parameter.requires_grad_(wanted)
    from paco_eval.api.results import Results

    own = tuple((one.name, one.weight_hash) for one in loaded)
    results = Results(out, own, measured, aliases, asked["baseline"] or "")
    return Run(results, loaded, chosen.usable, failed, chosen.absent)


def _settings(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that rows repeat, as a file for ``--config`` holds them."""
    defaults = {name: parameter.default for name, parameter in signature(evaluate).parameters.items()}
    told = {name: _plain(asked[name]) for name in ECHOED if asked[name] != defaults[name]}
    return {name: value for name, value in told.items() if value not in (None, [])}


def _plain(value: Any) -> Any:
    """Return a setting as TOML has it; modules and encoders are named by their rows."""
    if isinstance(value, (list, tuple)):
        return [plain for one in value if (plain := _plain(one)) is not None]
    if isinstance(value, Task):
        return value.name
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, (str, int, float, bool)) else None


def _aliases(
    loaded: Sequence[str], name: str | None, names: Mapping[str, str] | Sequence[str]
) -> dict[str, str]:
    """Return what tables call encoders, by their names in rows.

    Raises:
        PacoError: a name for an encoder that is not among them.

    """
    given = dict(names) if isinstance(names, Mapping) else names_of(names)
    found: dict[str, str] = {}
    for encoder, alias in given.items():
        hits = [one for one in loaded if fnmatchcase(one, encoder)]
        if not hits:
            raise unknown_name("encoder", encoder, loaded)
        found |= dict.fromkeys(hits, alias)
    if name and len(loaded) == 1 and loaded[0] != name:
        found[loaded[0]] = name
    return found


def _grads(module: nn.Module) -> list[bool]:
    return [parameter.requires_grad for parameter in module.parameters()]


def as_encoder(
    found: Evaluated, pixels: PixelContract | None = None, name: str = "", *, trust: bool = False
) -> Encoder:
    """Return a name, an encoder or a plain module as an encoder.

    Raises:
        PacoError: a module without a pixel contract, or something else altogether.

    """
    if isinstance(found, str):
        return load_encoder(found, trust=trust)
    if not isinstance(found, nn.Module):
        if isinstance(found, Encoder):
            return identified(found)
        raise PacoError(
            f"A {type(found).__name__} is no encoder: give a name, a torch module, or an Encoder."
        )
    found.eval()
    digest = weight_hash(found)
    given, name = name, name or f"module:{type(found).__name__}"
    if hasattr(found, "pretrained_cfg") and hasattr(found, "forward_intermediates"):
        from paco_eval.encoders.timm import TimmEncoder, class_token_trained, contract_of

        contract = pixels or contract_of(found)
        made: Encoder = TimmEncoder(name, found, contract, has_global=class_token_trained(found))
        return _titled(identified(made, own=False), given)
    if pixels is None:
        raise PacoError(
            f"How does {type(found).__name__} want its pictures? Give pixels=paco_eval.PixelContract(size=..., ...)."
        )
    device = next((parameter.device for parameter in found.parameters()), None)

    def function(images: Tensor) -> Tensor:
        output: Tensor = found(images.to(device) if device is not None else images)
        return output

    parameters = sum(parameter.numel() for parameter in found.parameters())
    facts: dict[str, Any] = {"pixels_checked": check_contract(name, pixels, found)}
    made = FunctionEncoder(name, function, pixels, digest, parameters, facts=facts)
    return _titled(identified(made, structure=structure_of(found)), given)


def _titled(encoder: Encoder, given: str) -> Encoder:
    """Return a module under its class and what it computes, where it was given no name."""
    if not given:
        encoder.name = f"{encoder.name}-{encoder.weight_hash[:6]}"
    return encoder
