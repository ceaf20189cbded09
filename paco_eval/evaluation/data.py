"""What a task is measured on: its pictures cut into units, and who plays which part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset

from paco_eval.evaluation.protocols import FROZEN, OWN_CROP, Protocol
from paco_eval.rows.former import note_records
from paco_fr.contracts import CropContract, Encoder, content_hash
from paco_fr.faces.contents import one_look
from paco_fr.faces.crop import crop_of
from paco_fr.faces.records import fingerprint
from paco_fr.utils.errors import PacoError, unknown_name
from tasks import splits
from tasks.data_check import shortfall
from tasks.kinds import PEOPLE_KINDS
from tasks.lists import restrict
from tasks.readers.records import records_of
from tasks.readers.user.folder import read_people
from tasks.registry import all_tasks
from tasks.task import Task, bind, option_hashes
from tasks.units import Units, units_of, view_of_units


@dataclass(frozen=True)
class Data:
    """A task's pictures and roles, read once for all encoders.

    Attributes:
        task: the declaration.
        views: view name ("all" is the main one) -> its units and split.
        fingerprint: hash of the records.
        protocol: with what departs from the task's own; what is asked for until it is spread over draws or trainings.
        data_kind: what the pictures are; a miniature says so by its manifest, an official set that is short of
            something is partial.
        missing: which parts are short of the official counts, and by how much.
        probe_seed: which draw of the fitted units this is, None where nothing is drawn.
        root: folder of the data sets.
        people: what a set that is scored as a whole may be fitted on instead.
        smaller: the same on the task's own canvas, of data on a larger one.
        planned: whether nobody is going to look at the pictures.

    """

    task: Task
    views: dict[str, tuple[Units, splits.Split | splits.ScoredOnly]]
    fingerprint: str
    protocol: Protocol
    root: Path | None = None
    people: TrainPeople | None = None
    data_kind: str = "official"
    missing: str = ""
    probe_seed: int | None = None
    smaller: Data | None = None
    planned: bool = False

    @classmethod
    @one_look()
    def load(
        cls,
        task: Task,
        data_root: Path | None,
        protocol: Protocol = FROZEN,
        train_identities: Path | None = None,
        crop: CropContract | None = None,
        *,
        planned: bool = False,
    ) -> Data:
        """Read the records of a task, cut units and give out roles.

        Args:
            task: the declaration.
            data_root: folder of the data sets.
            protocol: names a crop (:func:`paco_fr.faces.crop.crop_of`) or a limit, if they depart from the task's own.
            train_identities: folder of people to fit on where the task is scored as a whole.
            crop: that of the encoder that is measured, where the protocol asks for each encoder's own.
            planned: nobody is going to look at the pictures: what is not drawn yet stays so, nothing is noted.

        """
        limit = protocol.limit
        task = bind(task, data_root)
        if crop is not None:
            task = replace(task, crop=crop, cut="")
        elif protocol.crop and protocol.crop != OWN_CROP:
            task = replace(task, crop=crop_of(protocol.crop), cut="")
        records = records_of(task, data_root, limit, planned=planned)
        kind = task.kind_of_data(data_root)
        missing = shortfall(task, records) if kind == "official" else ""
        if limit is not None:
            records = _limited(records, limit)
        units = units_of(records, task.crop).known()
        if limit is not None:
            task = restrict(task, units.labels)
        people = None
        if train_identities is not None and task.split == "test_only":
            people = TrainPeople.read(train_identities, task)
            people.refuse_shared(units.labels)
        member = view_of_units(units.labels, task)
        named = _fingerprint(records, task)
        if not planned:
            note_records(named, records)
        views = {name: units.only(np.flatnonzero(member == name)) for name in ("all", *task.views)}
        return cls(
            task,
            {name: (part, splits.roles(task, part.labels)) for name, part in views.items()},
            named,
            protocol.on(task, f"{people.name} {people.fingerprint}" if people is not None else ""),
            data_root,
            people,
            "partial" if missing else kind,
            missing,
            planned=planned,
        )

    def seen_by(self, encoder: Encoder) -> Data:
        """Return the data on a canvas as large as the encoder's pictures, where the task's is smaller.

        So a picture that is shown at 448 pixels is cut at 448 from its photograph, not blown up from a smaller canvas.
        """
        return self.at(max(self.task.crop.canvas, encoder.pixels.size))

    def at(self, canvas: int) -> Data:
        """Return the data with the same crops on a canvas of another side; the task says so."""
        if canvas == self.task.crop.canvas:
            return self
        task = replace(self.task, crop=replace(self.task.crop, canvas=canvas))
        views = {name: (units.at(canvas), split) for name, (units, split) in self.views.items()}
        people = self.people and replace(self.people, units=self.people.units.at(canvas))
        return replace(self, task=task, views=views, people=people, smaller=self.smaller or self)

    @property
    def lender(self) -> Data:
        """The task on whose validation part block and pooling are chosen, read once for all encoders."""
        return self._lender if self.smaller is None else self.smaller.lender

    @cached_property
    def _lender(self) -> Data:
        known = all_tasks()
        if self.task.choice_from not in known:
            raise unknown_name(
                f"task, which {self.task.name} takes its choices from,", self.task.choice_from, known
            )
        own = self.task.crop if self.protocol.crop == OWN_CROP else None
        protocol = Protocol(crop=self.protocol.crop)
        return Data.load(known[self.task.choice_from], self.root, protocol, crop=own, planned=self.planned)


def _fingerprint(records: Dataset, task: Task) -> str:
    """Return the hash of the records and of whatever lists came with them."""
    lists = option_hashes(task)
    return content_hash([fingerprint(records), lists]) if lists else fingerprint(records)


def _limited(records: Dataset, limit: int) -> Dataset:
    """Return at most ``limit`` records of each part, in their order."""
    if "split" not in records.column_names:
        return records.select(range(min(limit, len(records))))
    part = pd.Series(records["split"][:])
    return records.select(np.flatnonzero(part.groupby(part).cumcount() < limit))


@dataclass(frozen=True, eq=False)
class TrainPeople:
    """Pictures of known people to fit on.

    Attributes:
        units: the pictures, taken as already cut the way the task cuts faces.
        fingerprint: hash of the records.
        name: of the folder.

    """

    units: Units
    fingerprint: str
    name: str

    @classmethod
    def read(cls, folder: Path, task: Task) -> TrainPeople:
        """Read ``folder/PERSON/...``; pictures fill the task's canvas as they are."""
        if task.kind not in PEOPLE_KINDS:
            raise PacoError(f"{task.name} is no task of recognition; --train-identities means nothing to it.")
        records = read_people(folder, ".")
        units = units_of(records, CropContract("whole", canvas=task.crop.canvas)).known()
        return cls(units, fingerprint(records), folder.name)

    def refuse_shared(self, labels: pd.DataFrame) -> None:
        """Refuse people who are also scored, as far as names tell."""
        scored = set(labels["identity" if "identity" in labels else "group"])
        shared = sorted(scored & set(self.units.labels["identity"]))
        if shared:
            raise PacoError(
                f"--train-identities {self.name}: '{shared[0]}' ({len(shared)} in all) is also scored. "
                "Take the scored people out of the folder."
            )
