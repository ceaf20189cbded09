"""A protocol: what is fitted, on how much, and whatever departs from the task's own way; read from rows and written.

===================  =====================================================================================
``frozen``           the kind's own head on all of the fitting and validation parts
``knn``              the same with nearest neighbours in place of the head
``heatmap``          landmarks read off heat maps of the patch tokens, in place of the linear head
``few-shot``         the head on a share of the groups, or on a number of units of each class, several draws; of
                     several attributes, whoever is among the first so many with, or without, one of them
``fine-tune``        the whole encoder is trained, see :mod:`paco_eval.finetune.train`; several trainings, each once a
                     scoring fold. Recognition trains under a margin loss, on the task's own people for fitting
                     or, where it is scored as a whole, on others; landmarks may be trained by FaRL's recipe, masks are
===================  =====================================================================================

The first four are carried out in :mod:`paco_eval.evaluation.frozen`, the last in
:mod:`paco_eval.evaluation.finetuned`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from paco_fr.utils.errors import PacoError, unknown_name
from tasks.kinds import load_kind
from tasks.task import Task

if TYPE_CHECKING:  # reports read protocols and do without torch
    from paco_eval.finetune.margin import MarginName
    from paco_eval.finetune.model import TunedHead

SHOTS = ("1%", "10%")
SEEDS = 3
Name = Literal["frozen", "knn", "heatmap", "few-shot", "fine-tune"]
NAMES: tuple[Name, ...] = get_args(Name)
OWN_CROP = "encoder"
"""In place of a crop's name: each encoder's own, where it requires one."""


class NotApplicableError(PacoError):
    """A protocol that means nothing for a task."""


@dataclass(frozen=True)
class Shots:
    """How much is fitted on: a share of the units in whole groups, or units of each class.

    Exactly one of the two is set.
    """

    share: float | None = None
    per_class: int | None = None

    @classmethod
    def parse(cls, text: str) -> Shots:
        """Read ``1%``, ``0.5%`` or a number per class such as ``5``."""
        number = text.removesuffix("%")
        try:
            if number != text and 0 < float(number) < 100:
                return cls(share=float(number) / 100)
            if number == text and int(number) > 0:
                return cls(per_class=int(number))
        except ValueError:
            pass
        raise PacoError(
            f"--shots {text}: write a percentage below 100 such as 1% or 10%, or a number per class."
        )

    def __str__(self) -> str:
        return f"{self.share * 100:g}%" if self.share is not None else f"{self.per_class} per class"


@dataclass(frozen=True)
class Protocol:
    """One protocol with what departs from the task's own way, in the words of rows: ``frozen, crop box, limit 60``.

    Attributes:
        name: one of :data:`NAMES`.
        shots: of few-shot, how much is fitted on; several may be asked for, a row has one, none asks for :data:`SHOTS`.
        epochs: of fine-tune; 0 is not said, which asks for as many as the recipe has.
        margin: loss of fine-tune on people, empty where no people are told apart.
        head: of fine-tune: ``linear``, or ``farl`` for landmarks and parsing after FaRL's recipe.
        people: name and hash of the folder of people that a set scored as a whole was fitted on.
        lender: the task on whose validation part block and pooling of such a set were chosen.
        crop: name of the crop in place of the task's own, :data:`OWN_CROP` for that which each encoder requires, empty
            for none.
        limit: at most so many pictures of each part.
        precision: of the forward pass.
        varied: what of the preprocessing another contract has, see :mod:`paco_eval.experiments.sensitivity`.
        seeds: draws of few-shot or trainings of fine-tune that are asked for; a row says in ``probe_seed`` which it is.

    """

    name: Name = "frozen"
    shots: tuple[Shots, ...] = ()
    epochs: int = 0
    margin: MarginName | Literal[""] = ""
    head: TunedHead = "linear"
    people: str = ""
    lender: str = ""
    crop: str = ""
    limit: int | None = None
    precision: str = "float32"
    varied: str = ""
    seeds: int = field(default=SEEDS, compare=False)

    @classmethod
    def asked(
        cls, name: str, *, shots: Sequence[str] = SHOTS, seeds: int = SEEDS, epochs: int = 0,
        margin: MarginName = "cosface", head: TunedHead = "linear", crop: str = "", limit: int | None = None,
    ) -> Protocol:  # fmt: skip
        """Return what a user asks for; settings of other protocols are left out.

        Raises:
            PacoError: an unknown protocol, shots or crop.

        """
        if crop and crop != OWN_CROP:
            from paco_fr.faces.crop import crop_of  # imported late: reports read protocols and cut nothing

            crop_of(crop)
        if name not in NAMES:
            raise unknown_name("protocol", name, NAMES)
        own = cls(name=name, crop=crop, limit=limit, seeds=seeds)
        if name == "few-shot":
            return replace(own, shots=tuple(Shots.parse(text) for text in shots))
        if name == "fine-tune":
            return replace(own, epochs=epochs, margin=margin, head=head)
        return own

    @classmethod
    def parse(cls, text: str) -> Protocol:
        """Read a protocol as a row has it.

        Raises:
            PacoError: this version knows no such protocol.

        """
        found = _WRITTEN.fullmatch(text)
        said = {name: value for name, value in found.groupdict().items() if value} if found else {}
        shots = said.pop("shots", None)
        numbers = {name: int(said.pop(name)) for name in ("epochs", "limit") if name in said}
        made = cls(
            **said,  # type: ignore[arg-type]  # the pattern lets nothing else through
            **numbers,  # type: ignore[arg-type]
            shots=() if shots is None else (Shots.parse(shots.removesuffix(" per class")),),
        )
        if str(made) != text:
            raise PacoError(f"protocol '{text}' is not known to this version.")
        return made

    def __str__(self) -> str:
        return ", ".join([self.heading, *self.departures])

    @property
    def trains(self) -> bool:
        """Whether the encoder itself is trained."""
        return self.name == "fine-tune"

    @property
    def heading(self) -> str:
        """What stands first in a row: the name with its amount."""
        amounts = {
            "few-shot": [str(shots) for shots in self.shots],
            "fine-tune": [f"{self.epochs} epochs"] if self.epochs else [],
        }
        heading = " ".join([self.name, *amounts.get(self.name, [])])
        return f"sensitivity {self.varied}, {heading}" if self.varied else heading

    @property
    def departures(self) -> list[str]:
        """What else decides over the number, in the words of a row."""
        return [
            *([self.margin] if self.margin else []),
            *([f"{self.head} head"] if self.head != "linear" else []),
            *([f"fitted on {self.people}"] if self.people else []),
            *([f"chosen on {self.lender}"] if self.lender else []),
            *([f"crop {self.crop}"] if self.crop else []),
            *([f"limit {self.limit}"] if self.limit is not None else []),
            *([self.precision] if self.precision != "float32" else []),
        ]

    def options(self) -> list[str]:
        """Return the options of ``evaluate`` that ask for it; folders of people are the user's to add."""
        asked = {
            "--protocol": self.name if self.name != "frozen" else "",
            "--shots": ",".join(str(shots).removesuffix(" per class") for shots in self.shots),
            "--epochs": str(self.epochs) if self.epochs else "",
            "--margin": self.margin,
            "--head": self.head if self.head != "linear" else "",
            "--crop": self.crop,
            "--limit": "" if self.limit is None else str(self.limit),
            "--precision": self.precision if self.precision != "float32" else "",
        }
        words = [word for option, value in asked.items() if value for word in (option, value)]
        return [*words, "--sensitivity"] if self.varied else words

    def on(self, task: Task, people: str = "") -> Protocol:
        """Return what rows of a task say: a loss only where people are told apart, and whose pictures decide.

        Args:
            task: what is measured.
            people: name and hash of the folder of people that it is fitted on, empty for none.

        """
        told_apart = self.trains and load_kind(task.kind).HEAD == "whitening"
        return replace(
            self,
            margin=(self.margin or "cosface") if told_apart else "",
            people=people,
            lender="" if people else task.choice_from,
        )


FROZEN = Protocol()
"""As the task says, on all of its pictures."""

_WRITTEN = re.compile(
    r"(?:sensitivity (?P<varied>\w+), )?"
    r"(?P<name>frozen|knn|heatmap|few-shot|fine-tune)"
    r"(?: (?P<shots>[^ ,]+%|\d+ per class)| (?P<epochs>\d+) epochs)?"
    r"(?:, (?P<margin>cosface|arcface))?"
    r"(?:, (?P<head>farl) head)?"
    r"(?:, fitted on (?P<people>.+? [0-9a-f]+)|, chosen on (?P<lender>[^,]+))?"
    r"(?:, crop (?P<crop>[\w:.=-]+))?"
    r"(?:, limit (?P<limit>\d+))?"
    r"(?:, (?P<precision>bfloat16|float16))?"
)
"""The parts of a protocol as rows have it; which of them go together is seen by writing it again."""


def apart(text: str) -> tuple[str, str]:
    """Return heading and departures of a protocol as a row has it; what this version does not know is all heading."""
    try:
        known = Protocol.parse(text)
    except PacoError:
        return text, ""
    return known.heading, ", ".join(known.departures)
