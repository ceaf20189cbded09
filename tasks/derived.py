"""Derived tasks: ``occlusion/<task>``, ``illumination/<task>``, ``quality/<task>``, from any task.

A derived task is the task itself with a :class:`~tasks.task.Sweep`: heads are fitted and chosen on clean
pictures, then the test part is scored clean (level 0) and under every kind at levels 1 to 5. Where the faces
are rendered, occlusion and illumination are rendered as well, on the same faces; there the same factors
painted into the picture are ``perturbed-occlusion/<task>`` and ``perturbed-illumination/<task>``: the two
never share a curve. In a task of gallery and probes the gallery stays clean; where pairs are sampled both
sides change. A task of a codebook has no head; its derived ones say how much the codebook sees the same in
changed pictures as in clean ones (:mod:`tasks.kinds.stability`).

Nothing heavy is imported here: ``paco-eval list tasks`` shows these names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tasks.perturbations.catalogue import FACTORS, LEVELS, PERTURBATIONS, kinds_of
from tasks.task import Sweep, Task

Cell = tuple[str, int]
"""One kind of trouble at one level, which has a row of its own."""
CLEAN: Cell = ("clean", 0)

RENDERING_READER = "tasks.readers.synthetic.drawn:read_faces"

RENDERED: dict[str, tuple[str, ...]] = {
    "occlusion": ("sunglasses", "surgical_mask", "scarf", "hand"),
    "illumination": ("side", "top", "below", "dim", "overexposed", "coloured"),
}
"""Kinds that the renderer draws and that pretraining is never shown (``TEST_OCCLUDERS`` less the clear glasses,
which hide nothing, and ``TEST_LIGHTS`` of :mod:`paco_fr.synthetic.spec`)."""

SYNTHETIC_IDENTITIES = 40
"""Test identities of rendered sets that sweeps show, drawn again or perturbed: the first ones. With six pictures
each a cell has 240; rendered occlusion is 20 cells and the clean one, illumination 30 and the clean one."""

SYNTHETIC_VERSION = 1
"""Raised when the cells of rendered sets change; the renderer's own version is in the data fingerprint."""

PREFIX = "perturbed-"
NAMES = (*FACTORS, *(PREFIX + factor for factor in RENDERED))
"""First parts of the names of derived tasks."""


def derived_tasks(tasks: Iterable[Task]) -> dict[str, Task]:
    """Return all tasks that derive from these, by name."""
    found = [task for base in tasks if base.sweep is None for task in _derive(base)]
    return {task.name: task for task in found}


def _derive(base: Task) -> list[Task]:
    rendered = base.reader == RENDERING_READER
    found = [_swept(base, factor, factor, PREFIX * (rendered and factor in RENDERED)) for factor in FACTORS]
    if rendered:
        found += [_rendered(base, factor, kinds) for factor, kinds in RENDERED.items()]
    if base.kind == "codebook":
        return [replace(task, kind="stability", main_metric="same_token") for task in found]
    return found


def _swept(base: Task, factor: str, name: str, prefix: str) -> Task:
    kinds = kinds_of(factor)  # type: ignore[arg-type]  # one of FACTORS
    version = base.version + sum(PERTURBATIONS[kind].version - 1 for kind in kinds)
    identities = None
    if base.reader == RENDERING_READER:
        version, identities = version + SYNTHETIC_VERSION, SYNTHETIC_IDENTITIES
    sweep = Sweep(base.name, base.version, factor, "perturbed", kinds, LEVELS, identities)
    return replace(
        base, name=f"{prefix}{name}/{base.name}", version=version, sweep=sweep, tags=(*base.tags, factor)
    )


def _rendered(base: Task, factor: str, kinds: tuple[str, ...]) -> Task:
    version = base.version + SYNTHETIC_VERSION - 1
    sweep = Sweep(base.name, base.version, factor, "rendered", kinds, LEVELS, SYNTHETIC_IDENTITIES)
    return replace(
        base, name=f"{factor}/{base.name}", version=version, sweep=sweep, tags=(*base.tags, factor)
    )
