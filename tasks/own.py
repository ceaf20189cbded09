"""Tasks on a user's own data, declared from a line of text: ``FAMILY=FOLDER[,key=value,...]``.

=====================================  ==================================================================
``recognition=FOLDER``                 folders of people: verification over pairs drawn from them
``recognition=FOLDER,pairs=FILE``      the pairs of a CSV list (``first,second,same[,fold]``)
=====================================  ==================================================================

Further keys: ``name=NAME`` (default: the folder's), ``crop=whole|farl|arcface|box`` (default ``whole``: the
pictures are faces already cut out), ``choice_from=TASK`` (default: the encoder's declared block and
pooling). Other families join :data:`OWN`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paco_fr.contracts import CROPS
from paco_fr.errors import PacoError, unknown_name
from tasks.task import FromData, Task

Options = Mapping[str, str]


def recognition(folder: str, name: str, options: Options) -> Task:
    """Return the verification task of a folder of people, or of a list of pairs."""
    crop = options.get("crop", "whole")
    if crop not in CROPS:
        raise unknown_name("crop", crop, CROPS)
    common: dict[str, Any] = {
        "name": f"recognition/{name}",
        "version": 1,
        "kind": "verification",
        "crop": CROPS[crop],
        "licence": "your own",
        "obtain": f"Put the pictures into {folder}.",
        "split": "test_only",
        "choice_from": options.get("choice_from", ""),
        "reductions": ("global", "mean", "grid4"),
        "data_kind": "user",
        "tags": ("real", "own"),
        "tried_on": "real data",
    }
    if "pairs" not in options:
        return Task(
            reader="tasks.readers.own:read_people",
            reader_options={"folder": folder},
            main_metric="auc",
            options={"pairs": "sampled", "impostors": 100_000},
            **common,
        )
    where = {"folder": folder, "pairs": options["pairs"]}
    return Task(
        reader="tasks.readers.own:read_paired",
        reader_options=where,
        main_metric="accuracy_10fold",
        options={"pairs": "list", "pair_list": FromData("tasks.readers.own:read_pair_list", where)},
        **common,
    )


OWN: dict[str, tuple[Callable[[str, str, Options], Task], tuple[str, ...]]] = {
    "recognition": (recognition, ("pairs", "name", "crop", "choice_from")),
}
"""Family -> how its task is made, and the keys that it knows."""


def own_task(text: str) -> Task:
    """Return the task that ``FAMILY=FOLDER[,key=value,...]`` declares; the folder is made absolute.

    Raises:
        PacoError: another form, an unknown family or key (the nearest is named), or no such folder.

    """
    head, *rest = text.split(",")
    family, equals, place = head.partition("=")
    if not equals or not place:
        raise PacoError(f"'{text}' is not FAMILY=FOLDER[,key=value,...]. Families: {', '.join(OWN)}.")
    if family not in OWN:
        raise unknown_name("family of own data", family, OWN)
    make, keys = OWN[family]
    options: dict[str, str] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if key not in keys:
            raise unknown_name(f"key of {family}=", key, keys)
        if not equals or not value or key in options:
            raise PacoError(f"'{text}': '{part}' is not one key=value.")
        options[key] = value
    folder = Path(place).expanduser().resolve()
    if not folder.is_dir():
        hint = "Unpack the archive first." if folder.is_file() else "Name a folder that is there."
        raise PacoError(f"'{text}': {folder} is not a folder. {hint}")
    made = make(str(folder), options.get("name", folder.name), options)
    return replace(made, options={**made.options, "declared_as": f"--folder {text}"})
