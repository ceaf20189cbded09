"""Cells as jobs: grouped, run on this machine and by a stand-in for Slurm's commands, merged, gone on with."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from paco_eval.cli import jobs as cluster
from paco_eval.cli import main
from paco_eval.cli.jobs import jobs_of
from paco_eval.rows.store import load_rows
from paco_fr.utils.errors import PacoError
from tests.paco_eval.conftest import blob_task

TASKS = """
from dataclasses import replace
from tests.paco_eval.conftest import blob_task
POSE, LANDMARKS = blob_task("pose"), blob_task("landmarks")
BAD = replace(blob_task("pose"), name="pose/bad", reader_options={"people": 2})
"""

SBATCH = """#!{python}
import os, pathlib, re, subprocess, sys
script = pathlib.Path(sys.argv[1]).read_text()
pathlib.Path("{log}").write_text(script)
array = re.search(r"#SBATCH --array=0-(\\d+)", script)
for number in range(int(array[1]) + 1 if array else 1):
    own = {{"SLURM_JOB_ID": "77", "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0",
           "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "here"}}
    if array:
        own |= {{"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(number)}}
    subprocess.Popen(["bash", "-c", "sleep 1;" + script], env={{**os.environ, **own}},
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("Submitted batch job 77")
"""
SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do [[ "$1" == --unbuffered ]] && shift || shift 2; done
exec "$@"
"""


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str | Path]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "mine.py").write_text(TASKS)
    return ["--tasks-from", tmp_path / "mine.py", "--out", tmp_path / "out"]


def rows_in(folder: Path) -> set[tuple[str, str]]:
    rows, problems = load_rows([folder])
    assert not problems
    return {(stored.row.encoder, stored.row.task) for stored in rows}


def test_a_job_is_an_encoder_on_the_tasks_that_share_pictures(tmp_path):
    pose, landmarks = blob_task("pose"), blob_task("landmarks")
    other = replace(pose, name="pose/other", reader_options={"people": 12})
    own = replace(pose, name="pose/own", options={"declared_as": "--folder pose=my faces.csv"})
    encoders = [(["pixels"], "a"), (["--encoder-from", "mine.py:Mine"], "b")]
    jobs = jobs_of(encoders, [pose, other, landmarks, own], ["--limit", "9"], tmp_path)
    assert [job.words for job in jobs[:2]] == [
        ("pixels", "--tasks", "pose/blobs,landmarks/blobs", "--folder", "pose=my faces.csv", "--limit", "9"),
        ("pixels", "--tasks", "pose/other", "--limit", "9"),
    ]
    assert jobs[2].words[:2] == ("--encoder-from", "mine.py:Mine") and len(jobs) == 4
    assert len({job.folder for job in jobs}) == 4
    limit, newer = ["--limit", "9"], [replace(pose, version=2), replace(other, version=2)]
    for changed in (
        jobs_of([(["pixels"], "new weights")], [pose, other], limit, tmp_path),
        jobs_of(encoders[:1], [pose, other], ["--limit", "8"], tmp_path),
        jobs_of(encoders[:1], newer, limit, tmp_path),
    ):
        assert not {job.folder for job in changed} & {job.folder for job in jobs}


class Handle:
    """A job that has run."""

    state, done = "FINISHED", staticmethod(lambda: True)

    def __init__(self, folder: Path, job_id: str, problem: Exception | None = None) -> None:
        self.job_id, self.paths = job_id, SimpleNamespace(stderr=folder / f"{job_id}.err")
        self.exception = lambda: problem


class Here:
    """Runs jobs in this process as they are submitted."""

    job_class = Handle

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def batch(self):
        return nullcontext()

    def submit(self, function, *given):
        self.count += 1
        try:
            function(*given)
        except PacoError as error:
            return Handle(self.folder, str(self.count), error)
        return Handle(self.folder, str(self.count))


def test_jobs_are_measured_merged_and_gone_on_with(evaluation, tmp_path, monkeypatch):
    out, executor = tmp_path / "out", Here(tmp_path / "logs")
    monkeypatch.setattr(cluster, "_executor", lambda *_: executor)
    words = ["evaluate", "pixels", "constant", "--tasks", "*/b*", *evaluation, "--jobs", "local"]
    planned = call(*words, "--dry-run")
    assert planned.exit_code == 0 and "4 jobs" in planned.output and not out.exists()
    done = call(*words)
    # The set that no split can be made of fails for both encoders; everything else goes on and is merged.
    assert done.exit_code == 1, done.output
    assert "Failed jobs: 2" in done.output and done.output.count("pose/bad: failed; see ") == 4
    good = {
        (encoder, task) for encoder in ("pixels", "constant") for task in ("pose/blobs", "landmarks/blobs")
    }
    assert rows_in(out / "rows") == good and rows_in(out) == good
    # The plain command meets what the jobs measured, and jobs are not submitted again unless a row is gone.
    again = call("evaluate", "pixels", "--tasks", "*/blobs", *evaluation)
    assert again.output.count("already measured") == 2
    assert "4 jobs, 2 of them measured before" in call(*words).output and executor.count == 6
    next(stored.path for stored in load_rows([out])[0] if stored.row.encoder == "constant").unlink()
    words[words.index("*/b*")] = "*/blobs"
    assert "2 jobs, 1 of them measured before" in call(*words).output and executor.count == 7
    assert rows_in(out / "rows") == good
    assert "2 jobs, 0 of them" in call(*words, "--overwrite", "always").output and executor.count == 9


def test_a_job_that_was_killed_keeps_its_rows_and_goes_on(evaluation, tmp_path, monkeypatch):
    """Its second task fails at first; what the first one gave is not measured again."""
    from paco_eval.evaluation import runner

    out, executor, measured = tmp_path / "out", Here(tmp_path / "logs"), []
    monkeypatch.setattr(cluster, "_executor", lambda *_: executor)
    real = runner.measure

    def failing(encoder, data, **options):
        if data.task.name == "pose/blobs" and executor.count == 1:
            raise PacoError("the node went away")
        rows = real(encoder, data, **options)
        measured.extend(row.task for row in rows)
        return rows

    monkeypatch.setattr(runner, "measure", failing)
    words = ["evaluate", "constant", "--tasks", "*/blobs", *evaluation, "--jobs", "local"]
    assert call(*words).exit_code == 1
    assert not (out / "rows").exists() and rows_in(out) == {("constant", "landmarks/blobs")}
    assert call(*words).exit_code == 0
    assert rows_in(out / "rows") == {("constant", "landmarks/blobs"), ("constant", "pose/blobs")}
    assert measured == ["landmarks/blobs", "pose/blobs"]


@pytest.mark.slow  # in short, jobs run in this process, and those of Slurm in processes of their own
@pytest.mark.timeout(240)
def test_a_job_on_this_machine_runs_in_a_process_of_its_own(evaluation, tmp_path):
    done = call("evaluate", "constant", "--tasks", "pose/blobs", *evaluation, "--jobs", "local",
                "--job-set", "timeout_min=5")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert rows_in(tmp_path / "out" / "rows") == {("constant", "pose/blobs")}


@pytest.mark.timeout(240)
def test_jobs_go_to_slurm_as_one_array_with_the_settings(evaluation, tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    script = tmp_path / "script"
    for name, text in {
        "sbatch": SBATCH.format(python=sys.executable, log=script),
        "srun": SRUN,
        "sacct": "#!/bin/bash\necho 'JobID|State|NodeList'\n",
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    words = ["evaluate", "pixels", "constant", "--tasks", "pose/blobs", *evaluation, "--jobs", "slurm",
             "--job-set", "partition=gpu", "--job-set", "time=60"]  # fmt: skip
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert rows_in(tmp_path / "out" / "rows") == {("pixels", "pose/blobs"), ("constant", "pose/blobs")}
    text = script.read_text()
    assert "--partition=gpu" in text and "--time=60" in text and "--array=0-1" in text
    assert "2 jobs, 2 of them measured before" in call(*words).output


def test_a_job_under_way_is_waited_for_and_not_submitted_again(tmp_path):
    class Running(Handle):
        state = "RUNNING"

    class Executor(Here):
        job_class = Running

        def submit(self, *_):
            return super().submit(lambda: None)

    jobs = jobs_of([(["a"], ""), (["b"], "")], [blob_task("pose")], [], tmp_path)
    jobs[0].folder.mkdir(parents=True)
    (jobs[0].folder / "job_id").write_text("old")
    executor = Executor(tmp_path)
    found = cluster._submitted(jobs, executor)
    assert [(job.title, handle.job_id) for job, handle in found] == [
        (jobs[0].title, "old"),
        (jobs[1].title, "1"),
    ]
    assert executor.count == 1 and (jobs[1].folder / "job_id").read_text() == "1"


def test_what_keeps_jobs_from_being_submitted_is_told(evaluation, monkeypatch, tmp_path):
    words = ["evaluate", "pixels", "--tasks", "pose/blobs", *evaluation]
    if shutil.which("srun") is None:
        assert "srun" in call(*words, "--jobs", "slurm").output
    assert "give --jobs" in call(*words, "--job-set", "time=1").output
    wrong = call(*words, "--jobs", "local", "--job-set", "nodes=3")
    assert wrong.exit_code == 2 and "nodes=1" in wrong.output
    assert "Did you mean pixels" in call("evaluate", "pixles", *words[2:], "--jobs", "local").output
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(PacoError, match=r"paco-eval\[cluster\]"):
        cluster._executor("local", {}, tmp_path)
