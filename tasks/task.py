"""A task is data without logic: what to read, how to crop, what to score. No torch, no numpy here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from paco_fr.contracts import CropContract

DataKind = Literal["official", "partial", "mimic", "synthetic", "user"]

MANIFEST = "mimic.json"
"""The file that marks a data folder as a miniature and holds its counts."""


@dataclass(frozen=True)
class FromData:
    """An option whose value lies with the data, such as a list of pairs; read when a run starts.

    Attributes:
        reader: ``module:function``, called with the data root; what it returns has a ``hash``.
        options: keyword arguments of the reader.

    """

    reader: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """What makes a task a derived one: its test part under kinds of trouble at growing levels.

    Attributes:
        base: name of the task that it derives from.
        base_version: its version.
        factor: ``occlusion``, ``illumination`` or ``quality``.
        source: whether trouble is drawn with the face or into its picture.
        kinds: names, each a ``subset`` of rows.
        levels: from mild to severe; level 0 is clean.
        identities: how many of the scored ones are shown, the first; None for all.

    """

    base: str
    base_version: int
    factor: str
    source: Literal["rendered", "perturbed"]
    kinds: tuple[str, ...]
    levels: tuple[int, ...]
    identities: int | None = None


@dataclass(frozen=True)
class Task:
    """The declaration of one benchmark.

    Attributes:
        name: ``family/dataset``, or ``family/dataset@variant``.
        version: raised with any change of its scores.
        kind: module in ``tasks.kinds`` that owns targets, heads, metrics and items.
        reader: ``module:function`` returning face records with a ``split`` column; resolved lazily.
        crop: how faces are cut out; part of the protocol.
        main_metric: the one number that stands for the task.
        licence: terms of the data.
        obtain: what a user without the data must do.
        citation: where the data and the protocol come from.
        reader_options: keyword arguments of the reader.
        split: how roles are given out, see :mod:`tasks.splits`: ``official`` reads the ``split`` column,
            ``subject_folds`` and ``selection_only`` take its ``validation`` people for choosing,
            ``test_only`` scores everything and fits nothing on it.
        choice_from: for ``test_only``: name of the task on whose validation part block and pooling are
            chosen; empty for the encoder's declared default. The row says which.
        flip: ``sum`` adds the features of the mirrored picture to those of the picture.
        views: subsets that are pictures of their own (a control region, say): fitted and scored apart,
            with what was chosen on the main view.
        subsets: parts of the scored items, by the names in the records' ``subsets``, that get rows of their own
            (fitted and chosen with the whole: only the scoring is theirs).
        files: paths under the data root that must exist; empty for data that is made, not found.
        data_kind: what the pictures are.
        reductions: summaries of patch tokens that validation may choose from.
        head: solver in place of the kind's own; empty for that.
        options: what the kind needs to know beyond this, e.g. the normaliser of landmarks.
        tags: for globs and reports, e.g. ``real``, ``synthetic``, ``occlusion``.
        cut: whose crop it is and whence its box or points are, in words, where the contract alone does not tell.
        variants: other protocols on the same data by name: the fields in which each differs. ``options`` and
            ``reader_options`` are laid over the task's own. The plain task is the field's protocol where the set alone
            allows it; ``name@variant`` is a task of its own, with its own version (1 where it does not say).
        tried_on: whether a number was ever measured on the real data or only on a miniature.
        sweep: of a derived task, see :mod:`tasks.derived`.

    """

    name: str
    version: int
    kind: str
    reader: str
    crop: CropContract
    main_metric: str
    licence: str
    obtain: str
    citation: str = ""
    reader_options: Mapping[str, Any] = field(default_factory=dict)
    split: Literal["official", "subject_folds", "selection_only", "test_only"] = "official"
    choice_from: str = ""
    flip: Literal["none", "sum"] = "none"
    views: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    data_kind: DataKind = "official"
    reductions: tuple[str, ...] = ("mean", "grid4")
    head: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    cut: str = ""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tried_on: Literal["real data", "miniature", "synthetic"] = "miniature"
    sweep: Sweep | None = None

    def missing(self, data_root: Path | None) -> tuple[str, ...]:
        """Return the files under the data root that are not there; all of them without a data root."""
        return tuple(name for name in self.files if data_root is None or not (data_root / name).exists())

    def kind_of_data(self, data_root: Path | None) -> DataKind:
        """Return ``mimic`` where a data folder of the task holds the manifest of a miniature, else its own."""
        folders = {Path(name).parts[0] for name in self.files}
        if data_root is not None and any((data_root / folder / MANIFEST).is_file() for folder in folders):
            return "mimic"
        return self.data_kind

    def variant(self, name: str) -> Task:
        """Return one of its variants as a task of its own."""
        changes = {"version": 1, "cut": "", **self.variants[name]}
        for joined in ("options", "reader_options"):
            changes[joined] = {**getattr(self, joined), **changes.get(joined, {})}
        return replace(self, name=f"{self.name}@{name}", variants={}, **changes)

    @property
    def plain_name(self) -> str:
        """The name without that of a variant."""
        return self.name.partition("@")[0]

    @property
    def family(self) -> str:
        """The part of the name before the dataset, e.g. ``pose`` or ``occlusion/pose``."""
        return self.name.rpartition("/")[0]


def resolve(reference: str) -> Any:
    """Import what a ``module:attribute`` reference names."""
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def bind(task: Task, data_root: Path | None) -> Task:
    """Return the task with every :class:`FromData` option replaced by what its reader returns."""
    read = {
        name: resolve(value.reader)(data_root, **value.options)
        for name, value in task.options.items()
        if isinstance(value, FromData)
    }
    return replace(task, options={**task.options, **read}) if read else task


def option_hashes(task: Task) -> dict[str, str]:
    """Return the hashes of the options that were read from the data: they belong to its fingerprint."""
    return {name: value.hash for name, value in task.options.items() if hasattr(value, "hash")}
