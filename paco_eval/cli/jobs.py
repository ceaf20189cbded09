"""Cells as independent jobs, for many checkpoints on a cluster: submitted through submitit, merged afterwards.

A job is one encoder on the tasks that read the same pictures, so that every picture passes the encoder once
however many tasks ask for it. It is the command ``evaluate`` that a user would type for these alone, with a folder
of its own in ``OUT/jobs``, so jobs need nothing of each other but the cache. When a job has ended well its
rows move to ``OUT/rows``; those of a job that failed stay where they are, and reports find them there too.

Nothing is lost by stopping: a job goes on without the submitting process, the same command submits only what
is neither measured nor under way, and a job that was killed goes on in its folder.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import owned_folder, write_text
from paco_fr.utils.untrusted import read_json
from tasks.task import Task

MINUTES = {"slurm": ("time", 240), "local": ("timeout_min", 240)}
"""How a kind of cluster calls the limit of a job's time, and our choice of it, in minutes.

``local`` runs all jobs at once on this machine, to try a grid before it goes to a cluster.
"""

UNDER_WAY = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED")
"""States of a job that an earlier call submitted and that is waited for."""


class Submitted(Protocol):
    """What submitit tells about a job."""

    job_id: str
    state: str
    paths: Any

    def done(self) -> bool:
        """Say whether it has ended, well or not."""

    def exception(self) -> Exception | None:
        """Return why it failed."""


@dataclass(frozen=True)
class Job:
    """One encoder on tasks that share pictures.

    Attributes:
        title: what the user is told.
        words: of the command ``evaluate``, without ``--out``.
        folder: its ``--out``.

    """

    title: str
    words: tuple[str, ...]
    folder: Path

    def measured(self, out: Path) -> bool:
        """Say whether it has ended well and all of its rows are still there."""
        try:
            keys = read_json(self.folder / "done.json", expect=list)
        except PacoError:
            return False
        return all(any((at / "rows" / f"{key}.json").is_file() for at in (out, self.folder)) for key in keys)


def jobs_of(
    encoders: Sequence[tuple[Sequence[str], str]], tasks: Sequence[Task], words: Sequence[str], out: Path
) -> list[Job]:
    """Return the jobs, encoders first.

    Args:
        encoders: words that name an encoder to ``evaluate``, and a hash of all that could change its features.
        tasks: that have data.
        words: options that all jobs have in common.
        out: folder of the run.

    """
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        pictures = json.dumps([task.reader, dict(task.reader_options)], sort_keys=True, default=str)
        groups.setdefault(pictures, []).append(task)
    return [
        _job(encoder, fingerprint, group, words, out)
        for encoder, fingerprint in encoders
        for group in groups.values()
    ]


def _job(
    encoder: Sequence[str], fingerprint: str, tasks: Sequence[Task], words: Sequence[str], out: Path
) -> Job:
    named = ",".join(task.name for task in tasks if "declared_as" not in task.options)
    declared = [
        str(task.options["declared_as"]).split(" ", 1) for task in tasks if "declared_as" in task.options
    ]
    own = [*encoder, *(["--tasks", named] if named else []), *(word for pair in declared for word in pair)]
    versions = [f"{task.name} v{task.version}" for task in tasks]
    address = content_hash([fingerprint, versions, own, list(words)])
    name = re.sub(r"[^\w.]+", "-", encoder[-1])[-40:].strip("-")
    title = f"{encoder[-1]}  {', '.join(task.name for task in tasks)}"
    return Job(title, (*own, *words), out / "jobs" / f"{name}-{address[:8]}")


def measure(words: Sequence[str], folder: Path) -> None:
    """Run ``evaluate`` into a folder: what happens inside a job.

    Raises:
        PacoError: a cell failed, or the call was wrong; the log of the job says how.

    """
    from paco_eval.cli import main

    try:
        main(args=["evaluate", *words, "--out", str(folder)])
    except SystemExit as end:
        if end.code:
            raise PacoError(f"paco-eval evaluate ended with status {end.code}.") from end
    keys = sorted(path.stem for path in (folder / "rows").glob("*.json"))
    write_text(folder / "done.json", json.dumps(keys))


def run_jobs(
    jobs: Sequence[Job],
    cluster: str,
    settings: Mapping[str, Any],
    out: Path,
    *,
    again: bool = False,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Submit what is not measured yet, wait, merge the rows, and return a line for each job that failed.

    Args:
        jobs: as :func:`jobs_of` returns them.
        cluster: one of :data:`MINUTES`.
        settings: parameters of submitit's executor, such as partition and time.
        out: folder of the run, held meanwhile.
        again: whether to submit what is measured, too.
        say: takes lines for the user.

    Raises:
        PacoError: submitit is not installed, there is no such cluster here, or it refuses the settings.

    """
    executor = _executor(cluster, settings, out / "jobs" / "logs")
    failed = []
    with owned_folder(out):
        wanted = [job for job in jobs if again or not job.measured(out)]
        say(f"{len(jobs)} jobs, {len(jobs) - len(wanted)} of them measured before. Logs: {executor.folder}")
        for job in jobs:  # of an earlier call, which may have been stopped before it merged them
            if job not in wanted:
                _merge(job, out)
        for ended, (job, problem) in enumerate(_waited(_submitted(wanted, executor)), 1):
            if problem:
                failed.append(f"{job.title}: {problem}")
            else:
                _merge(job, out)
            say(f"{ended}/{len(wanted)}  {job.title}{f': {problem}' if problem else ''}")
    return failed


def _executor(cluster: str, settings: Mapping[str, Any], logs: Path) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise PacoError("--jobs needs submitit: pip install 'paco-eval[cluster]'.") from error
    kind = {"slurm": submitit.SlurmExecutor, "local": submitit.LocalExecutor}[cluster]
    limit, minutes = MINUTES[cluster]
    try:
        executor = kind(folder=logs)
        executor.update_parameters(**{limit: minutes, **settings})
    except (RuntimeError, ValueError, TypeError) as error:
        raise PacoError(f"--jobs {cluster}: {error}") from error
    return executor


def _submitted(jobs: Sequence[Job], executor: Any) -> list[tuple[Job, Submitted]]:
    """Submit jobs as one array; those that an earlier call submitted and that are under way are taken over."""
    found: list[tuple[Job, Submitted]] = []
    fresh = []
    for job in jobs:
        known = job.folder / "job_id"
        before = executor.job_class(executor.folder, known.read_text()) if known.is_file() else None
        if before is not None and before.state.upper() in UNDER_WAY:
            found.append((job, before))
        else:
            fresh.append(job)
    try:
        with executor.batch():
            submitted = [executor.submit(measure, job.words, job.folder) for job in fresh]
    except Exception as error:  # whatever the cluster's own commands raise
        raise PacoError(f"The jobs could not be submitted: {error}") from error
    for job, begun in zip(fresh, submitted, strict=True):
        write_text(job.folder / "job_id", begun.job_id)
    return [*found, *zip(fresh, submitted, strict=True)]


def _waited(submitted: Sequence[tuple[Job, Submitted]]) -> Iterator[tuple[Job, str]]:
    """Yield each job as it ends with what went wrong, empty for nothing."""
    left = list(submitted)
    while left:
        for job, handle in [pair for pair in left if pair[1].done()]:
            left.remove((job, handle))
            bad = handle.exception() is not None
            yield job, f"failed; see {handle.paths.stderr}" if bad else ""
        time.sleep(0.5 if left else 0)


def _merge(job: Job, out: Path) -> None:
    """Move the rows of a job that ended well into those of the run; of each, what lies beside it first."""
    rows = out / "rows"
    rows.mkdir(exist_ok=True)
    for path in sorted((job.folder / "rows").glob("[!.]*"), key=lambda path: path.suffix == ".json"):
        path.replace(rows / path.name)
