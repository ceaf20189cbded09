"""The embedded default, in minutes: see the method at work, see it learn, measure it, break it, look at the page.

Five stages, each of which says how long all that is left will take: (1) what a shipped checkpoint fills in on faces that it
has never seen, (2) a short training of PaCo-FR of one's own, (3) the shipped encoders, one's own, the same network
untrained, raw pixels and a constant on four families, (4) the same under a surgical mask that grows, (5) the page.
Everything is small: rows say how many pictures they rest on, and what they do not carry is not claimed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from paco_eval.analysis.names import metric_title
from paco_eval.analysis.significance import registered_metrics
from paco_eval.analysis.statistics import over_seeds
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.report.build import DEFAULT_FORMATS, build_report
from paco_eval.report.inspect.contact import write_sheet
from paco_eval.rows.artefacts import load_arrays
from paco_eval.rows.store import Stored, load_rows
from paco_fr.checkpoint import SHIPPED, load_objective, shipped
from paco_fr.config import PretrainConfig, load_recipe
from paco_fr.contracts import CropContract
from paco_fr.faces.crop import crop_image
from paco_fr.faces.decode import read_image
from paco_fr.faces.pixels import prepare, unprepare
from paco_fr.model.diagnostics import masked_batch
from paco_fr.model.objective import completed
from paco_fr.model.patches import patchify, put, take, unpatchify
from paco_fr.synthetic import FaceSpec, records
from paco_fr.train.pretrain import pretrain
from paco_fr.train.sheets import repaired
from paco_fr.utils.types import Say
from tasks.kinds import main_metric
from tasks.registry import all_tasks, derived
from tasks.task import Task
from tasks.units import units_of

FAMILIES = ("recognition", "pose", "landmarks", "expression")
SWEPT = "occlusion/landmarks/synthetic"
UNTRAINED = "random:tiny"
FIRST_LOOK, LEARNING = "first-look.png", "learning.png"
"""Pictures beside the rows: what a shipped checkpoint fills in, and what one's own does at start, middle and end."""

STAGES = {"a first look": 8.0, "training": 60.0, "evaluating": 50.0, "robustness": 35.0, "the page": 16.0}
"""What is done, with the seconds of two quiet cores: what is left is told in proportion to what was taken so far."""


@dataclass(frozen=True)
class Scale:
    """How much the quickstart does.

    Attributes:
        identities: people that are trained on.
        images_per_identity: pictures of each.
        presentations: pictures shown in training.
        limit: pictures of each part that are fitted on, chosen on and scored; of half as many, eight expressions are not learned.
        levels: severities of the mask.
        swept: people under the mask.
        tasks: families that are measured.

    """

    identities: int = 600
    images_per_identity: int = 5
    presentations: int = 16_000
    limit: int = 480
    levels: tuple[int, ...] = (1, 3, 5)
    swept: int = 20
    tasks: tuple[str, ...] = FAMILIES


@dataclass
class Stages:
    """Says which stage begins and how long all that is left will take, by how long those before took."""

    say: Say
    started: float = field(default_factory=lambda: time.monotonic())
    done: list[str] = field(default_factory=list)

    def begin(self, name: str) -> None:
        """Say that a stage begins."""
        nominal = sum(STAGES[past] for past in self.done)
        speed = (time.monotonic() - self.started) / nominal if nominal else 1.0
        left = speed * sum(seconds for stage, seconds in STAGES.items() if stage not in self.done)
        self.done.append(name)
        self.say(f"{len(self.done)}/{len(STAGES)} {name}, about {rounded(left)} left")


def rounded(seconds: float) -> str:
    """Return a time to ten seconds, from two minutes on in minutes."""
    if seconds < 120:
        return f"{max(10, 10 * round(seconds / 10))} s"
    return f"{seconds / 60:.0f} min"


def quickstart(out: Path, *, scale: Scale, say: Say) -> Path:
    """Run the whole line into ``out`` and return the report's folder. What is already there is kept."""
    stages = Stages(say)
    stages.begin("a first look")
    say(
        f"Look at {first_look(out / FIRST_LOOK)}: eight faces, what is hidden of them, what paco-tiny fills in"
    )
    stages.begin("training")
    folder = out / "pretrain" / "paco"
    own = f"paco:{pretrain(training(scale), folder, resume=folder.exists(), progress=True)}"
    if sheet := learning(folder, out / LEARNING):
        say(f"Look at {sheet}: the same hidden patches after the first steps, in the middle and at the end")
    encoders = [*shipped(), own, UNTRAINED, "pixels", "constant"]
    limit = Protocol(limit=scale.limit)
    stages.begin("evaluating")
    known = all_tasks()
    failed = evaluate_all(
        encoders, [known[f"{name}/synthetic"] for name in scale.tasks], limit, out=out, say=say
    )
    stages.begin("robustness")
    failed += evaluate_all(encoders, [masked(scale)], limit, out=out, say=say)
    if failed:
        say(f"{len(failed)} cells failed; the report shows the others.")
    stages.begin("the page")
    build_report([out], out / "report", formats=(*DEFAULT_FORMATS, "text"), metric_of=registered_metrics())
    return out / "report"


def training(scale: Scale) -> PretrainConfig:
    """Return a training of PaCo-FR that learns in a minute: small steps many times, on few faces."""
    return load_recipe(
        "tiny",
        {
            "objective": "paco",
            "data.source": f"synthetic:identities={scale.identities},images_per_identity={scale.images_per_identity},seed=1",
            "optimiser.presentations": scale.presentations,
            "optimiser.batch": 32,
            "optimiser.learning_rate": 4e-3,
            "codebook.content": "structure",
            "loss.belief": 1.0,
        },
    )


def masked(scale: Scale) -> Task:
    """Return the task of faces under a surgical mask, on fewer people and levels than it has."""
    task = derived()[SWEPT]
    assert task.sweep is not None
    sweep = replace(task.sweep, kinds=("surgical_mask",), levels=scale.levels, identities=scale.swept)
    return replace(task, sweep=sweep)


@torch.no_grad()
def first_look(path: Path, name: str = "paco-tiny", count: int = 8) -> Path:
    """Write what a shipped checkpoint makes of new faces: as they are, what is hidden, tokens in its place, repaired."""
    model, config = load_objective(SHIPPED / name)[:2]
    drawn = records(FaceSpec(identities=count, images_per_identity=1, seed=2))
    units = units_of(drawn, CropContract("template", config.data.template, canvas=config.encoder.size))
    faces = [
        crop_image(read_image(drawn[at]["image"]), units.transforms[at], units.canvas) for at in range(count)
    ]
    batch = masked_batch(prepare(np.stack(faces), config.encoder.pixels), config)
    output = model.eval()(batch)
    patches = patchify(batch.images, config.encoder.patch)
    grey = put(patches, batch.hidden, torch.zeros_like(take(patches, batch.hidden)))
    stages = (grey, completed(patches, batch, output), repaired(config, batch, output))
    rows = [np.stack(faces)] + [
        unprepare(unpatchify(one, config.encoder.patch), config.encoder.pixels) for one in stages
    ]
    said = (
        "drawn for this",
        "grey: hidden from it",
        f"tokens that {name} believes in",
        "what it draws from them",
    )
    return write_sheet(path, [([*row], text) for row, text in zip(rows, said, strict=True)], 1)


def learning(folder: Path, path: Path) -> Path | None:
    """Write the sheets that a training left, one below the other, and return the picture; None where there are none."""
    end = load_arrays(folder / "reconstruction.npz", "reconstruction")
    kept = sorted((folder / "sheets").glob("*.npz"))
    if end is None or not kept:
        return None
    placed = [([*end["corrupted"]], "tokens that it believes in, at the end")]
    for kept_at in dict.fromkeys((kept[0], kept[-1])):
        sheet = load_arrays(kept_at, "reconstruction")
        if sheet is not None:
            placed.append(([*sheet["reconstructed"]], f"filled in after {int(kept_at.stem):,} steps"))
    placed += [([*end["reconstructed"]], "filled in at the end"), ([*end["original"]], "the faces")]
    return write_sheet(path, placed, 1)


def gains(out: Path) -> Iterator[str]:
    """Yield a sentence a family: what the short training changed, whether beyond chance, and where a long one leads.

    A minute teaches some families and not others; beside it stands what the same method comes to on four million pictures.
    """
    rows = [
        stored for stored in load_rows([out]).rows if stored.row.subset == "all" and stored.row.level is None
    ]
    by_task: dict[str, dict[str, Stored]] = {}
    for stored in rows:
        by_task.setdefault(stored.row.task, {})[stored.row.method] = stored
    for name, found in sorted(by_task.items()):
        trained, fresh = found.get("paco/tiny"), found.get(UNTRAINED)
        if trained is None or fresh is None or None in (trained.row.main.value, fresh.row.main.value):
            continue
        metric = main_metric(all_tasks()[name])
        apart = over_seeds(metric, [trained.items()], baseline=[fresh.items()], replicates=300)
        better = (apart.low > 0) if metric.higher_is_better else (apart.high < 0)
        worse = (apart.high < 0) if metric.higher_is_better else (apart.low > 0)
        verdict = "better" if better else "worse" if worse else "no difference beyond chance"
        title = metric_title(metric.name, trained.row.main.unit)
        said = (
            f"{title}: {fresh.row.main.value:.3g} untrained, {trained.row.main.value:.3g} trained ({verdict})"
        )
        far = found["paco-tiny"].row.main.value if "paco-tiny" in found else None
        told = "" if far is None else f"; {far:.3g} after four million pictures (paco-tiny)"
        yield f"{name.partition('/')[0]}, {said}{told}"
