"""The embedded default: pretrain PaCo-FR and a rival briefly on synthetic faces, measure them beside the shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paco_eval.analysis.significance import registered_metrics
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.report.build import build_report
from paco_fr.checkpoint import shipped
from paco_fr.config import load_recipe
from paco_fr.train.pretrain import pretrain
from paco_fr.utils.types import Say
from tasks.registry import select


@dataclass(frozen=True)
class Scale:
    """How much the quickstart does."""

    identities: int = 800
    images_per_identity: int = 5
    presentations: int = 6_000
    tasks: str = "*/synthetic"


def quickstart(out: Path, *, scale: Scale, say: Say) -> Path:
    """Run the whole line into ``out`` and return the report's folder. What is already there is kept."""
    encoders = []
    for objective in ("paco", "mae"):
        config = load_recipe(
            "tiny",
            {
                "objective": objective,
                "data.source": f"synthetic:identities={scale.identities},images_per_identity={scale.images_per_identity},seed=1",
                "optimiser.presentations": scale.presentations,
            },
        )
        folder = out / "pretrain" / objective
        say(f"Pretraining {objective} on {scale.presentations:,} pictures")
        encoders.append(f"paco:{pretrain(config, folder, resume=folder.exists(), progress=True)}")
    encoders += [*shipped(), "random:tiny", "pixels", "constant"]
    say(f"Evaluating {len(encoders)} encoders")
    failed = evaluate_all(encoders, [task for task, _ in select(scale.tasks)], out=out, say=say)
    if failed:
        say(f"{len(failed)} cells failed; the report shows the others.")
    build_report([out], out / "report", metric_of=registered_metrics())
    return out / "report"
