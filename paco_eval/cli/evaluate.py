"""``paco-eval evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from paco_eval.cli.options import data_root as data_root_option
from paco_eval.cli.options import device_option, overrides, precision_option, trust_option, words_of
from paco_fr.utils import progress

if TYPE_CHECKING:
    from tasks.task import Task


@click.command("evaluate")
@click.argument("encoders", nargs=-1, metavar="ENCODER...")
@click.option("--encoder-from", "own_encoders", multiple=True, metavar="FILE:CLASS",
              help="An encoder class in a Python file of your own; needs --trust.")  # fmt: skip
@click.option("--tasks", help="Names or globs, separated by commas.  [default: *]")
@click.option(
    "--protocol",
    type=click.Choice(["frozen", "knn", "heatmap", "few-shot", "fine-tune"]),
    default="frozen",
    show_default=True,
)
@click.option("--shots", default="1%,10%", show_default=True,
              help="For few-shot: shares of the fitted units, or numbers per class, separated by commas.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True,
              help="Draws of few-shot, trainings of fine-tune.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True, help="For fine-tune.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("paco-results"), show_default=True
)
@data_root_option
@click.option("--overwrite", type=click.Choice(["never", "missing", "always"]), default="missing", show_default=True,
              help="never: refuse if rows are there; missing: measure what is not; always: measure again.")  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=1), help="At most so many pictures of each part; marked in the row."
)
@click.option("--sensitivity", "sensitive", is_flag=True,
              help="Also score with another flip, pixel range and crop, and show how far the score moves.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the plan with forward passes and an estimate, and stop.")
@precision_option
@device_option
@trust_option
@click.option(
    "--tasks-from", type=click.Path(path_type=Path, dir_okay=False), help="A Python file that declares tasks."
)
@click.option("--folder", "folders", multiple=True, metavar="FAMILY=PATH[,key=value,...]",
              help="A task on your own pictures: recognition=DIR (people in sub-folders; or with ,pairs=FILE "
                   "or ,gallery=first), expression=DIR or classes=DIR (sub-folders are classes), landmarks=FILE.csv, "
                   "pose=FILE.csv, attributes=FILE.csv, parsing=FILE.csv,classes=A+B. "
                   "Alone it stands for --tasks.")  # fmt: skip
@click.option("--train-identities", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Folders of people, faces already cut, to fit whitening on for sets without a train part; "
                   "with --protocol fine-tune the encoder is trained on them.")  # fmt: skip
@click.option("--margin", type=click.Choice(["cosface", "arcface"]), default="cosface", show_default=True,
              help="Loss of fine-tune on --train-identities.")  # fmt: skip
@click.option("--head", type=click.Choice(["linear", "farl"]), default="linear", show_default=True,
              help="Head of fine-tune; farl: dense maps, augmentation and rates of FaRL's recipe, for landmarks and "
                   "parsing.")  # fmt: skip
@click.option("--crop", metavar="CROP",
              help="Cut faces so, whatever task or encoder ask for; marked in the row: farl, arcface, dlib, box or whole, "
                   "perhaps with settings as in box:margin=0.03:canvas=150; or encoder, which cuts for each encoder as "
                   "it requires.")  # fmt: skip
@click.option("--allow-random", is_flag=True,
              help="Go on with encoders whose features depend on chance or on the batch; marked in the row.")  # fmt: skip
@click.option("--cache-limit", envvar="PACO_CACHE_LIMIT", metavar="SIZE",
              help="Keep the cache of features to a size such as 20GB; what was unused for longest goes first, and "
                   "nothing that a running evaluation uses.  [default: $PACO_CACHE_LIMIT, else none]")  # fmt: skip
@click.option("--jobs", type=click.Choice(["slurm", "local"]),
              help="Submit a job for each encoder and set of pictures through submitit, wait, and merge the rows. "
                   "Started again it submits what is missing. local: all at once on this machine.")  # fmt: skip
@click.option("--job-set", "job_pairs", multiple=True, metavar="KEY=VALUE",
              help="A setting of submitit's executor for --jobs, e.g. partition=gpu, time=60, gpus_per_node=1.")  # fmt: skip
@click.pass_context
def command(
    context: click.Context,
    encoders: tuple[str, ...], own_encoders: tuple[str, ...], tasks: str | None, protocol: str, shots: str, seeds: int,
    epochs: int, out: Path, data_root: Path | None, overwrite: str, limit: int | None, sensitive: bool, dry_run: bool,
    precision: str, device: str, trust: bool, tasks_from: Path | None, folders: tuple[str, ...],
    train_identities: Path | None, margin: Literal["cosface", "arcface"], head: Literal["linear", "farl"],
    crop: str | None, allow_random: bool, cache_limit: str | None, jobs: str | None, job_pairs: tuple[str, ...],
) -> None:  # fmt: skip
    """Score encoders on tasks: one row each, written as it comes.

    ENCODER is paco:FOLDER, timm:NAME, farl:FILE, onnx:FILE, random:RECIPE_OR_TIMM[@SEED], pixels or constant;
    `paco-eval list encoders` names them all.
    """
    if not encoders and not own_encoders:
        raise click.UsageError("Missing argument 'ENCODER...'.")
    if sensitive and crop:
        raise click.UsageError("--sensitivity varies the crop itself; leave --crop out.")
    if job_pairs and not jobs:
        raise click.UsageError("--job-set says how --jobs run; give --jobs, too.")

    from paco_eval.features.cache import size_of
    from paco_fr.utils.errors import MissingDataError
    from tasks.registry import select
    from tasks.registry import tasks_from as read_tasks
    from tasks.user_tasks import own_task

    if cache_limit:
        size_of(cache_limit)  # a wrong one stops the call before anything is computed
    own = [own_task(folder) for folder in folders]
    patterns = tasks or (None if own else "*")
    chosen = select(patterns, read_tasks(tasks_from) if tasks_from else ()) if patterns else []
    chosen += [(task, True) for task in own]
    usable = []
    absent = []
    for task, named in chosen:
        missing = task.missing(data_root)
        if not missing:
            usable.append(task)
        elif named:
            absent.append(
                f"{task.name}: {', '.join(missing)} not under {data_root or '--data-root (not given)'}. {task.obtain}"
            )
        else:
            progress.say(f"Skipped {task.name}: no data. {task.obtain}")
    if absent and not usable:
        raise MissingDataError("\n".join(absent))

    if jobs:
        failures = _jobs(context, usable, jobs, overrides(job_pairs, "--job-set"))
        _end(out, failures, absent, "jobs")
        return

    from paco_eval.encoders import load_encoder
    from paco_eval.evaluation.protocols import Protocol
    from paco_eval.features.forward import set_up
    from paco_eval.features.processes import use_device

    asked = Protocol.asked(
        protocol, shots=shots.split(","), seeds=seeds, epochs=epochs, margin=margin, head=head, crop=crop or "",
        limit=limit,
    )  # fmt: skip
    use_device(device)
    names = [*encoders, *(f"file:{own_encoder}" for own_encoder in own_encoders)]
    loaded = [set_up(load_encoder(name, trust=trust), precision) for name in names]
    if dry_run:
        from paco_eval.evaluation.dry_run import lines_of, plan

        cells = plan(loaded, usable, asked, data_root=data_root, train_identities=train_identities)
        for line in lines_of(cells):
            click.echo(line)
        return

    from paco_eval.evaluation.runner import evaluate_all
    from paco_eval.features.cache_locks import keeping

    with keeping(cache_limit or ""):
        failures = evaluate_all(
            loaded, usable, asked, out=out, data_root=data_root, train_identities=train_identities,
            overwrite=overwrite, allow_random=allow_random, say=progress.say,
        )  # fmt: skip
    if sensitive:
        from paco_eval.experiments.sensitivity import spreads

        for line in spreads(loaded, usable, out=out, data_root=data_root, limit=limit):
            click.echo(line)
    _end(out, failures, absent, "cells")


def _jobs(context: click.Context, tasks: list[Task], cluster: str, settings: dict[str, Any]) -> list[str]:
    """Submit the call as jobs and return what failed; with --dry-run say which there would be."""
    from paco_eval.cli.jobs import jobs_of, run_jobs
    from paco_eval.encoders import load_encoder

    call = context.params
    words = words_of(context, ("own_encoders", "tasks", "folders", "out", "dry_run", "jobs", "job_pairs"))
    named = [([name], name) for name in call["encoders"]]
    named += [(["--encoder-from", name], f"file:{name}") for name in call["own_encoders"]]
    encoders = []
    # Loaded one by one and let go: their weights tell jobs apart, and a wrong name stops the call.
    for own, name in named:
        loaded = load_encoder(name, trust=call["trust"])
        encoders.append((own, f"{name} {loaded.weight_hash} {loaded.pixels.hash}"))
    found = jobs_of(encoders, tasks, words, call["out"])
    if call["dry_run"]:
        for job in found:
            click.echo(f"{job.title}{'  (measured)' if job.measured(call['out']) else ''}")
        click.echo(f"{len(found)} jobs")
        return []
    again = call["overwrite"] == "always"
    return run_jobs(found, cluster, settings, call["out"], again=again, say=progress.say)


def _end(out: Path, failures: list[str], absent: list[str], what: str) -> None:
    """Say where the rows are and what failed, and leave with the status of that."""
    click.echo(f"Rows: {out / 'rows'}\nReport: paco-eval report {out}")
    if failures:
        progress.error(f"Failed {what}: {len(failures)}")
        for failure in failures:
            progress.error(f"  {failure}")
    if absent:
        from paco_fr.utils.errors import MissingDataError

        raise MissingDataError("\n".join(absent))
    if failures:
        raise SystemExit(1)
