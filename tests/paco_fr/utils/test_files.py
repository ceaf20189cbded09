"""What is written is whole, durable and readable by others; what a dead writer left goes; a full disk is a line."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from paco_fr.utils import files
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import (
    WriteError,
    atomic_file,
    atomic_folder,
    hold,
    never_onto,
    put_aside,
    sweep,
    unheld,
    writing,
)
from tests.fixtures.child import python
from tests.fixtures.full_disk import files_no_larger_than


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_modes_follow_the_umask(mask, mode, umask, tmp_path):
    """Weights and most files of the cache were readable for their writer alone, folders likewise."""
    umask(mask)
    with atomic_file(tmp_path / "weights.safetensors") as path:
        save_file({"a": np.ones(3)}, path)
    with atomic_folder(tmp_path / "set") as path:
        (path / "part").write_text("x")
    assert (tmp_path / "weights.safetensors").stat().st_mode & 0o777 == mode
    assert (tmp_path / "set").stat().st_mode & 0o777 == mode | (mode & 0o444) >> 2


def test_file_and_folder_are_forced_to_the_disk_before_and_after_the_rename(tmp_path, monkeypatch):
    """Only states and shards were."""
    done = []
    monkeypatch.setattr(files, "sync", lambda path: done.append((path.name, (tmp_path / "a").exists())))
    with atomic_file(tmp_path / "a") as path:
        path.write_text("x")
    assert done == [(path.name, False), (tmp_path.name, True)]


def test_two_writers_never_share_a_temporary_name(tmp_path):
    """It was made of the process number alone, which two machines on one folder can have alike."""
    with atomic_file(tmp_path / "a") as one, atomic_file(tmp_path / "a") as two:
        assert one != two
        for name in (one.name, two.name):
            assert str(os.getpid()) in name and os.uname().nodename.partition(".")[0] in name
        one.write_text("1")
        two.write_text("2")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


DYING = """
import os, sys
from pathlib import Path
from paco_fr.utils.files import atomic_file, atomic_folder
with atomic_file(Path(sys.argv[1]) / "file"), atomic_folder(Path(sys.argv[1]) / "folder") as folder:
    (folder / "part").write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_writer_left_goes_and_what_others_write_stays(tmp_path):
    """Temporary files of killed writers stayed for ever."""
    python(DYING, tmp_path).ended()
    left = list(tmp_path.iterdir())
    elsewhere = tmp_path / ".x.another-host.1.00000000.tmp"
    elsewhere.write_text("written by another machine")
    user = tmp_path / ".of-the.user"
    user.write_text("not ours")
    os.utime(user, (1, 1))
    with atomic_file(tmp_path / "mine") as mine:
        assert len(left) == 2 and not any(path.exists() for path in left), "swept on the first visit"
        assert sweep(tmp_path) == [] and mine.exists()
    assert elsewhere.exists() and user.exists()
    os.utime(elsewhere, (time.time() - 90_000,) * 2)
    assert sweep(tmp_path) == [elsewhere]


def _arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(100_000))


def _zipped(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(100_000))


WRITERS = {
    "text": lambda path: path.write_text("x" * 1_000_000),
    "safetensors": lambda path: save_file({"a": np.zeros(100_000)}, path),
    "torch": lambda path: torch.save(torch.zeros(100_000), path),
    "npy": _arrays,
    "npz": _zipped,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_line_whatever_library_writes(kind, tmp_path):
    """Libraries hide the file system's error in errors of their own, which ended as tracebacks."""
    (tmp_path / "kept").write_text("old")
    with files_no_larger_than(4096):
        with pytest.raises(WriteError) as caught, atomic_file(tmp_path / "kept") as path:
            WRITERS[kind](path)
        with (
            pytest.raises(WriteError, match=r"^Cannot write features: .*\. Delete something\.$"),
            writing("features", "Delete something."),
            atomic_file(tmp_path / "kept") as path,
        ):
            WRITERS[kind](path)
    assert "\n" not in str(caught.value) and f"Cannot write {tmp_path / 'kept'}: " in str(caught.value)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("kept", "old")]


def test_errors_of_other_files_and_of_programs_pass(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a"):
        (tmp_path / "absent").read_text()
    with pytest.raises(RuntimeError, match="shape"), atomic_file(tmp_path / "a"):
        raise RuntimeError("shape")
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_put_aside_in_one_line(tmp_path, capsys):
    for name in ("file", "folder"):
        path = tmp_path / name
        path.write_text("x") if name == "file" else path.mkdir()
        put_aside(path, f"{path}: its end is missing.")
        put_aside(path, "another process was faster")
        said = capsys.readouterr().err
        assert said == f"Damaged: {path}: its end is missing. Put aside as {name}.damaged, made again.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.damaged", "folder.damaged"]


def test_nothing_is_written_onto_what_it_is_made_of(tmp_path):
    source = tmp_path / "run"
    source.mkdir()
    (tmp_path / "link").symlink_to(source)
    for out in (source, tmp_path / "link", tmp_path / "x" / ".." / "run"):
        with pytest.raises(PacoError, match="is what is read"):
            never_onto(out, tmp_path / "other", source)
    never_onto(source / "timm", source)


HOLDER = """
import signal, sys
from pathlib import Path
from paco_fr.utils.files import hold
hold(Path(sys.argv[1]))
print("holds")
signal.pause()
"""


def test_what_a_process_holds_is_not_pruned_until_it_ends(tmp_path):
    path = tmp_path / "faces" / "set"
    path.mkdir(parents=True)
    other = python(HOLDER, path)
    assert other.lines.readline() == "holds\n"
    with unheld(path) as free:
        assert not free
    other.kill()
    other.process.join()
    with unheld(path) as free:
        assert free
    assert not list((tmp_path / "users").iterdir())
    hold(path)
    with unheld(path) as free:
        assert not free
