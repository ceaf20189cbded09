"""Ways of damaging the files of a miniature, and reading what is left."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from datasets import Dataset
from scipy.io import loadmat, savemat

from tasks.registry import all_tasks
from tasks.task import bind, resolve

Copied = Callable[[str], Path]
Edit = Callable[[Path], None]


def read(name: str, root: Path) -> Dataset:
    """Read the records of a task and the lists that come with its data."""
    task = all_tasks()[name]
    found: Dataset = resolve(task.reader)(root, **task.reader_options)
    bind(task, root)
    return found


def line(number: int, change: Callable[[str], str]) -> Edit:
    """Return an edit of one line of a text file, counted from 1; an empty result drops the line."""

    def edit(path: Path) -> None:
        lines = path.read_text().split("\n")
        lines[number - 1 : number] = [text for text in [change(lines[number - 1])] if text]
        path.write_text("\n".join(lines))

    return edit


def first_word(word: str) -> Callable[[str], str]:
    return lambda text: " ".join([word, *text.split()[1:]])


def last_word(word: str) -> Callable[[str], str]:
    return lambda text: " ".join([*text.split()[:-1], word])


def mat(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    def edit(path: Path) -> None:
        content = {key: value for key, value in loadmat(path).items() if not key.startswith("__")}
        content[name] = change(content[name])
        savemat(path, content)

    return edit


def renamed(names: np.ndarray) -> np.ndarray:
    names[0, 0] = np.array(["../../../outside.jpg"])
    return names


def garbage(path: Path) -> None:
    path.write_bytes(b"nothing of the kind")


def npy(value: object) -> Edit:
    return lambda path: np.save(path, np.array(value), allow_pickle=True)


def repeat(one: int, other: int) -> Edit:
    """Return an edit that writes the text of line ``one`` over line ``other``."""

    def edit(path: Path) -> None:
        lines = path.read_text().split("\n")
        lines[other - 1] = lines[one - 1]
        path.write_text("\n".join(lines))

    return edit


def hostile(path: Path) -> None:
    """Write a pickle that calls a function when it is read by an unrestricted unpickler."""
    path.write_bytes(pickle.dumps(Called(), protocol=2))


class Called:
    """Asks its reader to run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Name a function and what it is called with."""
        return os.system, ("echo this must never run",)


def copy_of(name: str) -> Edit:
    """Return an edit that makes the path a copy of its neighbour ``name``, relative to its folder."""

    def edit(path: Path) -> None:
        shutil.copy(path.parent / name, path)

    return edit
