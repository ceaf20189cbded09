"""``paco-eval evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paco_eval.cli import completion
from paco_eval.cli.options import (
    bold,
    config_option,
    device_option,
    names_option,
    precision_option,
    screen_width,
    trust_option,
    words_of,
)
from paco_eval.cli.options import data_root as data_root_option
from paco_fr.utils import progress

if TYPE_CHECKING:
    from tasks.task import Task


@click.command("evaluate")
@click.argument("encoders", nargs=-1, metavar="ENCODER...", shell_complete=completion.encoders)
@click.option("--encoder-from", multiple=True, metavar="FILE:CLASS",
              help="An encoder class in a Python file of your own; needs --trust.")  # fmt: skip
@click.option(
    "--tasks", help="Names or globs, separated by commas.  [default: *]", shell_complete=completion.tasks
)
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
@click.option("--sensitivity", is_flag=True,
              help="Also score with another flip, pixel range and crop, and show how far the score moves.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the plan with forward passes and an estimate, and stop.")
@precision_option
@device_option
@trust_option
@click.option(
    "--tasks-from", type=click.Path(path_type=Path, dir_okay=False), help="A Python file that declares tasks."
)
@click.option("--folder", multiple=True, metavar="FAMILY=PATH[,key=value,...]",
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
@click.option("--job-set", multiple=True, metavar="KEY=VALUE",
              help="A setting of submitit's executor for --jobs, e.g. partition=gpu, time=60, gpus_per_node=1.")  # fmt: skip
@click.option("--name", metavar="NAME", help="What tables call the encoder, where it is one.")
@names_option
@click.option("--baseline", help="Show differences to this encoder in the table at the end.")
@config_option
@click.pass_context
def command(
    context: click.Context, /, encoders: tuple[str, ...], dry_run: bool, sensitivity: bool, jobs: str | None,
    job_set: tuple[str, ...], out: Path, **_: Any,
) -> None:  # fmt: skip
    """Score encoders on tasks: one row each, written as it comes, and a table of all encoders at the end.

    ENCODER is paco:FOLDER, timm:NAME, farl:FILE, onnx:FILE, random:RECIPE_OR_TIMM[@SEED], pixels or constant;
    `paco-eval list encoders` names them all.
    """
    call = context.params
    if not encoders and not call["encoder_from"]:
        raise click.UsageError("Missing argument 'ENCODER...'.")
    if sensitivity and call["crop"]:
        raise click.UsageError("--sensitivity varies the crop itself; leave --crop out.")
    if job_set and not jobs:
        raise click.UsageError("--job-set says how --jobs run; give --jobs, too.")
    if jobs or dry_run:
        _planned(context)
        return

    from paco_eval.api.evaluate import measure_call

    run = measure_call(**_own(context), say=progress.say)
    if sensitivity:
        from paco_eval.experiments.sensitivity import spreads

        for line in spreads(
            run.encoders, run.tasks, out=out, data_root=call["data_root"], limit=call["limit"]
        ):
            click.echo(line)
    from accelerate import PartialState

    if PartialState().is_main_process:
        boards = run.results.leaderboards()
        if boards:
            from paco_eval.report.leaderboard.writers import written

            click.echo(f"\n{written(boards, 'text', width=screen_width(), bold=bold)}")
    _end(out, run.failed, run.absent, "cells")


APART = ("dry_run", "sensitivity", "jobs", "job_set")
"""Options that say what is done instead of a measurement, or besides."""


def _own(context: click.Context) -> dict[str, Any]:
    """Return the settings that the function has, too."""
    from inspect import signature

    from paco_eval.api.evaluate import evaluate

    known = signature(evaluate).parameters
    return {name: value for name, value in context.params.items() if name in known}


def _planned(context: click.Context) -> None:
    """Print the plan, or submit jobs."""
    from paco_eval.api.evaluate import prepared
    from paco_fr.config import set_fields

    call, ready = context.params, prepared(**_own(context), say=progress.say)
    if call["jobs"]:
        failures = _jobs(context, ready.chosen.usable, call["jobs"], set_fields(call["job_set"], "--job-set"))
        _end(call["out"], failures, ready.chosen.absent, "jobs")
        return
    from paco_eval.evaluation.dry_run import lines_of, plan

    planned = plan(
        ready.loaded(), ready.chosen.usable, ready.protocol, data_root=ready.data_root,
        train_identities=call["train_identities"],
    )  # fmt: skip
    for line in lines_of(planned):
        click.echo(line)


def _jobs(context: click.Context, tasks: list[Task], cluster: str, settings: dict[str, Any]) -> list[str]:
    """Submit the call as jobs and return what failed; with --dry-run say which there would be."""
    from paco_eval.cli.jobs import jobs_of, run_jobs
    from paco_eval.encoders import load_encoder

    call = context.params
    words = words_of(
        context,
        ("encoder_from", "tasks", "folder", "out", "baseline", *APART, "quiet", "verbose", "log_file"),
    )
    named = [([name], name) for name in call["encoders"]]
    named += [(["--encoder-from", name], f"file:{name}") for name in call["encoder_from"]]
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
