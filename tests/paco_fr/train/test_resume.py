"""A run that is killed, stopped or starved goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from paco_fr.data.crops import crop_pool
from paco_fr.train.pretrain import pretrain
from paco_fr.train.resume import load_state, save_state, state_files
from paco_fr.train.signals import Interrupted
from paco_fr.utils.errors import PacoError
from tests.fixtures.child import group, in_processes, python
from tests.fixtures.full_disk import files_no_larger_than
from tests.paco_fr.conftest import config_on, small_config

RUN = """
import json, os, signal, sys
from pathlib import Path
from types import SimpleNamespace
import torch
import paco_fr.train.pretrain as loop
import paco_fr.train.resume as states
from paco_fr.config import parse_config
config, out, moment = parse_config(json.loads(sys.argv[1]), "test"), Path(sys.argv[2]), sys.argv[3]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "between steps":
    real_step, steps = loop.take_step, []
    def take_step(*call):
        steps.append(1)
        return die() if len(steps) == 6 else real_step(*call)
    loop.take_step = take_step
if moment == "inside a checkpoint write":
    real_save, saves = torch.save, []
    def save(state, file):
        saves.append(1)
        if len(saves) == 21:
            file.write(b"half a state")
            file.flush()
            die()
        real_save(state, file)
    states.torch.save = save
if moment == "between weights and card":
    import paco_fr.checkpoint as checkpoint
    checkpoint.json = SimpleNamespace(dumps=die)
loop.pretrain(config, out, resume=True)
"""

REPOSITORY = Path(__file__).parents[3]


def words(config, out: Path, moment: str = "") -> tuple[object, ...]:
    return RUN, config.model_dump_json(), out, moment


def curve(out: Path) -> list[dict[str, float]]:
    """Return the loss curve without what the clock says."""
    clock = ("images_per_second", "waiting", "host_gb")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in clock} for line in lines]


def same(first: Path, second: Path) -> bool:
    a, b = (load_file(out / "model.safetensors") for out in (first, second))
    return (
        a.keys() == b.keys()
        and all(torch.equal(a[name], b[name]) for name in a)
        and curve(first) == curve(second)
    )


def newest_step(out: Path) -> int:
    files = state_files(out)
    return int(files[-1].stem.split("-")[1]) if files else 0


MOMENTS = ["between steps", "inside a checkpoint write", "between weights and card"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_ends_in_the_same_bits(faces, tmp_path, moment):
    """Killed at step 6, in the write of a state right after a log line, or with weights and no card; saved after every step."""
    config = config_on(faces, run={"save_seconds": 0.0}, optimiser={"presentations": 16 * 22})
    whole = pretrain(config, tmp_path / "whole")
    cut = tmp_path / "cut"
    status, said = python(*words(config, cut, moment)).ended()
    assert status == -signal.SIGKILL, said
    assert state_files(cut) and not (cut / "card.json").exists()
    if moment == "inside a checkpoint write":
        assert len(list(cut.glob(".state-*.tmp"))) == 1
    assert same(pretrain(config, cut, resume=True), whole)
    assert not list(cut.glob(".*.tmp")) and not state_files(cut)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("processes", [1, 2])
def test_twenty_kills_at_random_moments(faces, tmp_path, processes):
    """SIGKILL to all processes, twenty times all over the run; PACO_RECORD names a file for the outcome."""
    config = config_on(faces, run={"save_seconds": 0.0}, optimiser={"presentations": 16 * 400})
    reference = tmp_path / "whole"
    in_processes(processes, *words(config, reference))
    out, chance, steps = tmp_path / "cut", random.Random(processes), []
    for moment in sorted(chance.sample(range(1, 390), 20)):
        children = group(processes, *words(config, out))
        due = max(moment, newest_step(out) + 1)
        while children[0].process.exitcode is None and newest_step(out) < due:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.1))
        if children[0].process.exitcode is not None:
            break
        for child in children:
            child.kill()
        for child in children:
            child.ended()
        steps.append(newest_step(out))
    kills = len(steps)
    in_processes(processes, *words(config, out))
    equal = same(out, reference)
    record = os.environ.get("PACO_RECORD")
    if record:
        line = {
            "processes": processes,
            "kills": kills,
            "at_steps": steps,
            "steps": 400,
            "bit_identical": equal,
        }
        with Path(record).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    assert kills == 20 and equal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_says_how_to_continue(faces, tmp_path, monkeypatch, number):
    before = signal.getsignal(number)
    config = config_on(faces)
    whole = pretrain(config, tmp_path / "whole")
    real, calls = torch.nn.utils.clip_grad_norm_, []

    def at_step_three(*call, **settings):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), number)
        return real(*call, **settings)

    monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", at_step_three)
    with pytest.raises(
        Interrupted, match=r"step 3 of 8, saved. Continue: paco-eval pretrain --resume"
    ) as stop:
        pretrain(config, tmp_path / "cut", command="paco-eval pretrain --resume")
    assert stop.value.number == number
    assert signal.getsignal(number) == before
    assert same(pretrain(config, tmp_path / "cut", resume=True), whole)


def test_a_full_disk_leaves_the_last_good_state(faces, tmp_path):
    config = config_on(faces, run={"save_seconds": 0.0}, optimiser={"presentations": 16 * 4})
    out = tmp_path / "run"
    state = {"model": {"a": torch.zeros(50_000)}, "step": 3, "config": config.model_dump_json()}
    out.mkdir()
    save_state(out, state, keep=2)
    with (
        files_no_larger_than(100_000),
        pytest.raises(PacoError, match=r"state-000000003\.pt, is kept. Free some space"),
    ):
        save_state(out, {**state, "step": 4}, keep=2)
    assert [path.name for path in out.iterdir()] == ["state-000000003.pt"]
    with (
        files_no_larger_than(20_000),
        pytest.raises(PacoError, match=r"Cannot write the crops .* PACO_CACHE"),
    ):
        pretrain(config, tmp_path / "other")
    crop_pool(config)
    with files_no_larger_than(20_000), pytest.raises(PacoError, match="No state was saved before"):
        pretrain(config, tmp_path / "other")


def test_states_are_pruned_and_a_damaged_one_gives_way_to_the_one_before(config, tmp_path):
    for step in (5, 10, 15):
        save_state(tmp_path, {"step": step, "config": config.model_dump_json()}, keep=2)
    assert [path.name for path in state_files(tmp_path)] == ["state-000000010.pt", "state-000000015.pt"]
    state_files(tmp_path)[-1].write_bytes(b"nothing of use")
    said: list[str] = []
    state = load_state(tmp_path, config, said.append)
    assert state is not None and state["step"] == 10 and "state-000000015.pt cannot be read" in said[0]
    with pytest.raises(PacoError, match=r"another optimiser\.batch: 16, not 32"):
        load_state(tmp_path, small_config(optimiser={"batch": 32}), said.append)
    state_files(tmp_path)[0].write_bytes(b"")
    with pytest.raises(PacoError, match=r"No state in .* can be read"):
        load_state(tmp_path, config, said.append)


def test_what_only_says_how_may_change_on_resume(config, tmp_path):
    save_state(tmp_path, {"step": 5, "config": config.model_dump_json()}, keep=2)
    other = small_config(run={"workers": 3, "save_seconds": 5.0})
    assert load_state(tmp_path, other, str) is not None and other.hash == config.hash


def test_a_batch_that_the_processes_cannot_share_is_refused_before_anything_is_touched(
    faces, tmp_path, monkeypatch
):
    """Also on resume: another number of processes continues a run if it divides the batch, or says why not."""
    monkeypatch.setattr("accelerate.Accelerator.num_processes", 3)
    with pytest.raises(PacoError, match=r"optimiser\.batch 16 is not divisible by 3 processes x optimiser"):
        pretrain(config_on(faces), tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_two_processes_learn_what_one_does_and_the_other_can_continue(faces, tmp_path):
    """One effective batch, one and two processes, also in parts and continued alone: one curve to 1e-5."""
    config = config_on(faces, optimiser={"batch": 16, "presentations": 96})
    one = pretrain(config, tmp_path / "one")
    in_processes(2, *words(config, tmp_path / "two"))
    stopped = tmp_path / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paco_fr.train.pretrain.highest", lambda values, device: [0.0, 15.0, 0.0])
        with pytest.raises(Interrupted):
            pretrain(config, stopped)
    in_processes(2, *words(config, stopped))
    parts = pretrain(
        config_on(faces, optimiser={"batch": 16, "presentations": 96, "accumulate": 4}), tmp_path / "parts"
    )
    for out in (tmp_path / "two", stopped, parts):
        for term in ("reconstruction", "belief", "spatial", "gradient_norm", "perplexity"):
            assert curve(out)[-1][term] == pytest.approx(curve(one)[-1][term], rel=1e-5), (out, term)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_torchrun_and_accelerate_launch_the_command(faces, tmp_path):
    """SIGTERM to two processes under torchrun saves; two under accelerate go on from there and finish."""
    values = config_on(faces, optimiser={"presentations": 16 * 150}).model_dump(mode="json")
    fields = [
        f"{section}.{key}={json.dumps(value)}"
        for section, given in values.items()
        if isinstance(given, dict)
        for key, value in given.items()
    ]
    out = tmp_path / "run"
    command = ["paco-eval", "pretrain", "--out", str(out), *(w for field in fields for w in ("--set", field))]
    port = str(random.randint(20_000, 60_000))
    two = ["torchrun", "--no-python", "--nproc-per-node", "2", "--master-port", port, *command]
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
    }
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(two, env=environment, stderr=said)
        log = out / "metrics.jsonl"
        while process.poll() is None and not (log.is_file() and log.read_text()):
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=300) != 0
    text = (tmp_path / "said.txt").read_text()
    assert "(2 processes x 1 parts x 8)" in text and "Continue: paco-eval pretrain --out" in text, text
    assert len(state_files(out)) == 1
    launch = "accelerate launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    done = subprocess.run(
        [*launch.split(), "--main_process_port", "0", "--no_python", *command, "--resume"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0 and "Continuing" in done.stderr, done.stderr
    assert json.loads((out / "card.json").read_text())["processes"] == 2


def test_a_state_with_one_other_bit_is_the_same_or_refused(config, tmp_path):
    """One flipped bit was loaded without a word 145 times of 150."""
    weights = torch.arange(400.0)
    save_state(tmp_path, {"step": 5, "config": config.model_dump_json(), "model": {"a": weights}}, keep=2)
    (path,) = state_files(tmp_path)
    whole = path.read_bytes()
    refused = 0
    for bit in np.random.default_rng(0).integers(len(whole) * 8, size=150):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        try:
            state = load_state(tmp_path, config, lambda _: None)
        except PacoError:
            refused += 1
        else:
            assert state is not None and torch.equal(state["model"]["a"], weights) and state["step"] == 5, bit
    assert refused > 75


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "replaced"])
def test_a_run_goes_on_only_on_its_own_pictures(change, faces, tmp_path, monkeypatch):
    """A run went on silently on other pictures, and ended as another run."""
    import paco_fr.train.pretrain as loop

    source, out = Path(faces), tmp_path / "run"
    config = config_on(faces, run={"save_seconds": 0})
    step = loop.take_step
    taken = iter(range(100))

    def stopping(*given):
        if next(taken) == 4:
            raise KeyboardInterrupt
        return step(*given)

    monkeypatch.setattr(loop, "take_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, out)
    monkeypatch.setattr(loop, "take_step", step)
    first = sorted(source.iterdir())[0]
    content = first.read_bytes()
    if change == "added":
        (source / "new.png").write_bytes(content)
    elif change == "removed":
        first.unlink()
    elif change == "renamed":
        first.rename(source / "zzz.png")
    else:
        first.write_bytes(sorted(source.iterdir())[1].read_bytes())
    with pytest.raises(PacoError, match="files were added, removed, renamed or replaced"):
        pretrain(config, out, resume=True)
    assert state_files(out) and not (out / "card.json").exists()
