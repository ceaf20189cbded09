"""Miniatures: any benchmark in its exact official layout, made from synthetic faces.

A user rehearses the whole run before the data arrives, and the suite proves reader and task together. The
manifest ``mimic.json`` in every data folder marks what is made, so that rows say ``data_kind: mimic``, and holds
the counts that were written, by task. A writer is ``(root, cast) -> counts``: it writes below the data root and
says how many faces of each part and subset it wrote. A new benchmark adds its line to :data:`WRITERS`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from paco_fr.utils.errors import PacoError, unknown_name
from paco_fr.utils.untrusted import read_json, shaped
from tasks.task import MANIFEST, Task, resolve

if TYPE_CHECKING:
    from tasks.mimics.faces import Cast

Writer = Callable[[Path, "Cast"], Mapping[str, int]]

WRITERS: dict[str, str] = {
    "attributes/celeba": "tasks.mimics.attributes:write_celeba",
    "expression/affectnet7": "tasks.mimics.expression:write_affectnet7",
    "expression/affectnet8": "tasks.mimics.expression:write_affectnet8",
    "expression/affectnet_challenge": "tasks.mimics.robustness:write_affectnet_challenge",
    "expression/fer2013": "tasks.mimics.expression:write_fer2013",
    "expression/ferplus": "tasks.mimics.expression:write_ferplus",
    "expression/ferplus_challenge": "tasks.mimics.robustness:write_ferplus_challenge",
    "expression/rafdb": "tasks.mimics.expression:write_rafdb",
    "expression/rafdb_challenge": "tasks.mimics.robustness:write_rafdb_challenge",
    "landmarks/300w": "tasks.mimics.landmarks:write_300w",
    "landmarks/aflw19": "tasks.mimics.landmarks:write_aflw19",
    "landmarks/cofw": "tasks.mimics.landmarks:write_cofw",
    "landmarks/wflw": "tasks.mimics.landmarks:write_wflw",
    "parsing/celebamask": "tasks.mimics.parsing:write_celebamask",
    "parsing/lapa": "tasks.mimics.parsing:write_lapa",
    "pose/aflw2000": "tasks.mimics.pose:write_aflw2000",
    "pose/biwi": "tasks.mimics.pose:write_biwi",
    "pose/biwi-70-30": "tasks.mimics.pose:write_biwi_70_30",
    "recognition/agedb_30": "tasks.mimics.recognition:write_agedb_30",
    "recognition/calfw": "tasks.mimics.recognition:write_calfw",
    "recognition/cfp_ff": "tasks.mimics.recognition:write_cfp_ff",
    "recognition/cfp_fp": "tasks.mimics.recognition:write_cfp_fp",
    "recognition/cplfw": "tasks.mimics.recognition:write_cplfw",
    "recognition/ijbb": "tasks.mimics.recognition:write_ijbb",
    "recognition/ijbb_search": "tasks.mimics.recognition:write_ijbb",
    "recognition/ijbc": "tasks.mimics.recognition:write_ijbc",
    "recognition/ijbc_search": "tasks.mimics.recognition:write_ijbc",
    "recognition/lfw": "tasks.mimics.recognition:write_lfw",
    "recognition/lfw_aligned": "tasks.mimics.recognition:write_lfw_bin",
    "recognition/lfw_masked": "tasks.mimics.recognition:write_lfw_m",
    "recognition/mfr2": "tasks.mimics.robustness:write_mfr2",
    "recognition/mlfw": "tasks.mimics.recognition:write_mlfw",
    "recognition/multipie1": "tasks.mimics.robustness:write_multipie1",
    "recognition/multipie2": "tasks.mimics.robustness:write_multipie2",
    "recognition/orl": "tasks.mimics.recognition:write_orl",
    "recognition/yale": "tasks.mimics.robustness:write_yale",
}
"""Task -> ``module:function`` of its writer."""

FACES_PER_PART = 24


def mimic(task: Task, out: Path, faces_per_part: int = FACES_PER_PART) -> dict[str, int]:
    """Write the miniature of a task below ``out``, a data root, and return its counts by part and subset.

    Variants of a task share its miniature. A folder that holds a miniature already is written anew, unless it is of the
    same size and a task shares it; real data is never touched.

    Raises:
        PacoError: the task has no writer, or a folder of its name holds something else.

    """
    name = task.plain_name
    if name not in WRITERS:
        raise unknown_name("benchmark with a miniature", name, WRITERS)
    from tasks.mimics.faces import Cast

    folders = sorted({out / Path(file).parts[0] for file in task.files})
    known: dict[str, dict[str, int]] = {}
    for folder in folders:
        if not folder.exists():
            continue
        if not (folder / MANIFEST).is_file():
            raise PacoError(f"{folder} is no miniature; nothing is written over it. Choose another folder.")
        size, written = _manifest(folder)
        if size == faces_per_part:
            known |= written
        else:
            shutil.rmtree(folder)
    writer: Writer = resolve(WRITERS[name])
    counts = dict(writer(out, Cast(faces_per_part)))
    for folder in folders:
        content = {"what": "synthetic faces in the layout of a benchmark; not the data",
                   "faces_per_part": faces_per_part, "tasks": known | {name: counts}}  # fmt: skip
        (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return counts


def manifest_counts(task: Task, data_root: Path) -> dict[str, int] | None:
    """Return the counts of a task's miniature as they were written; None where its data is no miniature."""
    for folder in sorted({data_root / Path(name).parts[0] for name in task.files}):
        if (folder / MANIFEST).is_file():
            found = _manifest(folder)[1].get(task.plain_name)
            if found is not None:
                return found
    return None


def _manifest(folder: Path) -> tuple[int, dict[str, dict[str, int]]]:
    """Return faces in a part and, by task, the counts that a miniature was written with."""
    path, remedy = folder / MANIFEST, "Write the miniature again with `data mimic`."
    content = read_json(path, remedy)
    size, written = content.get("faces_per_part"), content.get("tasks")
    return shaped(tuple[int, dict[str, dict[str, int]]], (size, written), path, remedy)
