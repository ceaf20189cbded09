"""The fine-tuning protocol: the whole encoder is trained with a head, and the last epoch is the score.

The head is linear; for recognition, centres of the people that the task gives for fitting, or of others where it is
scored as a whole, under a margin loss (CosFace or ArcFace), after which the mean tokens are compared; for landmarks
also, and for parsing only, that of FaRL, with its augmentation and rates (:mod:`paco_eval.finetune.farl`).

AdamW with layer decay, linear warm-up and cosine (as MAE and BEiT fine-tune), an average of the weights (EMA)
that is what gets evaluated, augmentation by kind of task. Nothing is selected: the score is that of the last
epoch. Beside it the row tells what the epoch best on validation gives on test, and, labelled as such, the epoch
best on test, which some papers print. The defaults are our choice.

Any number of processes trains the same model up to rounding: a batch is dealt out and its loss divided by the
whole batch. The state of every epoch is kept until the row is written, so a killed run goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from timm.utils import ModelEmaV3  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from paco_eval.encoders.timm import TimmEncoder
from paco_eval.features.batches import prepared_batches
from paco_eval.features.processes import together
from paco_eval.finetune.data import Part, Parts
from paco_eval.finetune.farl import Masks, Points, recoloured, shaken
from paco_eval.finetune.model import Identities, Settings, Targets, Tuned, learning_rate, parameter_groups
from paco_fr.checkpoint import checked_torch
from paco_fr.contracts import Encoder
from paco_fr.faces.pixels import prepare, unprepare
from paco_fr.utils.distributed import summed
from paco_fr.utils.errors import PacoError, in_a_line
from paco_fr.utils.files import atomic_file, put_aside
from paco_fr.utils.random import generator
from paco_fr.utils.types import Array, Say
from tasks.kinds import PEOPLE_KINDS
from tasks.units import Units

MIRRORED = ("classification", "multilabel", *PEOPLE_KINDS)
"""Kinds whose truth a mirrored picture keeps."""


def trainable(encoder: Encoder) -> TimmEncoder:
    """Return an encoder that can be trained; any other is an error."""
    if not isinstance(encoder, TimmEncoder):
        raise PacoError("cannot be fine-tuned: only transformers and networks in timm's form can.")
    return encoder


@dataclass
class Training:
    """One training."""

    encoder: TimmEncoder
    parts: Parts
    settings: Settings
    seed: int
    reduction: str

    def train(self, folder: Path, say: Say) -> tuple[list[list[float]], Array]:
        """Train from the last kept epoch on; return (validation, test) score of each epoch and the last outputs."""
        targets = self.parts.targets(self.settings)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            plain = _joint(Tuned(self.encoder, self.reduction, targets.head))
        average = ModelEmaV3(plain, decay=self.settings.average, use_warmup=True)
        optimiser = torch.optim.AdamW(
            parameter_groups(plain, self.settings), lr=self.settings.rate, weight_decay=0.0
        )
        history = _resume(folder, plain, average, optimiser)
        if history:
            say(f"{self.parts.test.task.name}  {self.encoder.name}: goes on after epoch {len(history)}")
        model = Accelerator().prepare_model(plain)
        steps = math.ceil(len(self.parts.fit.indices) / self.settings.batch)
        for epoch in range(len(history), self.settings.epochs):
            with torch.random.fork_rng():  # dropout: the same in an epoch that is taken up again
                torch.manual_seed(_seed("fine-tune dropout", self.seed, epoch, PartialState().process_index))
                self._epoch(model, plain, average, optimiser, targets, epoch, steps)
            held = self.parts.validation, self.parts.test
            history.append([part.score(self._outputs(average.module, targets, part)) for part in held])
            if PartialState().is_main_process:
                _keep(folder, plain, average, optimiser, history)
            PartialState().wait_for_everyone()
        return history, self._outputs(average.module, targets, self.parts.test)

    def _epoch(
        self, model: nn.Module, plain: Tuned, average: ModelEmaV3, optimiser: torch.optim.Optimizer,
        targets: Targets | Identities | Points | Masks, epoch: int, steps: int,
    ) -> None:  # fmt: skip
        state, settings, part = PartialState(), self.settings, self.parts.fit
        order = generator("fine-tune order", self.seed, epoch).permutation(part.indices)
        units = part.units
        if isinstance(targets, Points | Masks):
            units, targets = shaken(units, targets, part.indices, self.seed, epoch)
        dealt = [
            order[at : at + settings.batch][state.process_index :: state.num_processes].tolist()
            for at in range(0, len(order), settings.batch)
        ]
        model.train()
        for step, (members, pictures) in enumerate(self._batches(units, dealt)):
            for group in optimiser.param_groups:
                group["lr"] = group["lr_scale"] * learning_rate(
                    settings, epoch * steps + step, settings.epochs * steps
                )
            total = summed(torch.tensor(float(len(members)), device=state.device))
            if self.reduction == "maps" and total < 2:
                continue  # one picture has no spread that its maps could be normalised by
            images = self._augmented(pictures, members, epoch).to(state.device)
            # A process without a picture still takes part in the step, with a loss of nothing.
            loss = targets.loss(model(images), members) if members else model(images).sum() * 0
            if bool(summed((~torch.isfinite(loss)).float())):  # in any process: all have to stop
                raise PacoError(f"the loss is not finite in epoch {epoch + 1}; lower the rate.")
            shared = state.num_processes if isinstance(model, DistributedDataParallel) else 1
            (loss * shared / total.clamp_min(1)).backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            average.update(plain, step=epoch * steps + step)

    def _batches(self, units: Units, dealt: list[list[int]]) -> Iterator[tuple[list[int], Tensor]]:
        """Yield the readable units of each batch with their prepared pictures; one of zeros where there is none."""
        size = self.encoder.pixels.size
        for members, pictures, _ in prepared_batches(units, dealt, self.encoder.pixels):
            yield members, pictures if members else torch.zeros(1, 3, size, size)

    def _augmented(self, pictures: Tensor, members: list[int], epoch: int) -> Tensor:
        """Change contrast and brightness, cover a box in a quarter of the pictures, mirror where the kind allows.

        For FaRL's head do what its recipe does instead.
        """
        if self.settings.head == "farl":
            contract, seeds = self.encoder.pixels, [(self.seed, epoch, unit) for unit in members]
            plain = unprepare(pictures, contract)
            covered = self.parts.fit.task.kind == "landmarks"
            made = [
                recoloured(one, generator("farl", *key), covered=covered)
                for one, key in zip(plain, seeds, strict=False)
            ]
            return prepare(np.stack(made), contract) if made else pictures
        changed = pictures.clone()
        side = pictures.shape[-1]
        for row, unit in enumerate(members):
            rng = generator("fine-tune augmentation", self.seed, epoch, unit)
            if self.parts.test.task.kind in MIRRORED and rng.random() < 0.5:
                changed[row] = changed[row].flip(-1)
            changed[row] = changed[row] * float(rng.uniform(0.8, 1.25)) + float(rng.uniform(-0.2, 0.2))
            height, width = (rng.uniform(0.1, 0.4, 2) * side).astype(int)
            top, left = (int(rng.integers(0, side - length + 1)) for length in (height, width))
            if rng.random() < 0.25:
                changed[row, :, top : top + height, left : left + width] = changed[row].mean()
        return changed

    @torch.no_grad()
    def _outputs(self, model: nn.Module, targets: Targets | Identities | Points | Masks, part: Part) -> Array:
        """Return the outputs (n, T) of the held units, NaN for unreadable ones; the same in all processes."""
        model.eval()
        state, held, batch = PartialState(), part.indices.tolist(), self.settings.batch
        own = held[state.process_index :: state.num_processes]
        batches = [own[at : at + batch] for at in range(0, len(own), batch)]

        def answered() -> dict[int, Array]:
            found: dict[int, Array] = {}
            for members, pictures, _ in prepared_batches(part.units, batches, self.encoder.pixels):
                if members:
                    images = pictures.to(state.device)
                    made = model(images)
                    if part.task.flip == "sum":
                        made = made + model(images.flip(-1))
                    found |= dict(zip(members, targets.answers(made), strict=True))
            return found

        known = {unit: row for found in together(answered, state) for unit, row in found.items()}
        if not known:
            raise PacoError(f"not one of {len(held)} pictures could be read.")
        blank = np.full_like(next(iter(known.values())), np.nan)
        return np.stack([known.get(unit, blank) for unit in held])


def _seed(purpose: str, *key: int) -> int:
    """Return a seed for torch's generator."""
    return int(generator(purpose, *key).integers(2**31))


def _joint(model: Tuned) -> Tuned:
    """Return the model, whose batches are normalised over all processes as over one."""
    state = PartialState()
    if state.num_processes == 1 or not any(isinstance(part, nn.BatchNorm2d) for part in model.head.modules()):
        return model
    if state.device.type != "cuda":
        raise PacoError(
            "FaRL's head is normalised over a whole batch: several processes need GPUs, or use one."
        )
    model.head = nn.SyncBatchNorm.convert_sync_batchnorm(model.head)  # type: ignore[no-untyped-call]
    return model


def _keep(
    folder: Path,
    model: Tuned,
    average: ModelEmaV3,
    optimiser: torch.optim.Optimizer,
    history: list[list[float]],
) -> None:
    state = {"model": model.state_dict(), "average": average.module.state_dict(),
             "optimiser": optimiser.state_dict(), "history": history}  # fmt: skip
    with atomic_file(folder / "state.pt") as temporary:
        torch.save(state, temporary)


def _resume(
    folder: Path, model: Tuned, average: ModelEmaV3, optimiser: torch.optim.Optimizer
) -> list[list[float]]:
    """Take up the kept state, if there is one; return the scores of the epochs that are done."""
    path = folder / "state.pt"
    if not path.is_file():
        return []
    try:
        state = checked_torch(path, PartialState().device)
        model.load_state_dict(state["model"])
        average.module.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        history: list[list[float]] = state["history"]
    except PacoError as error:
        put_aside(path, error)
        return []
    except Exception as error:  # whole, but of another training
        raise PacoError(
            f"{path} cannot be read ({in_a_line(error)}). Remove it: the training begins anew."
        ) from error
    return history
