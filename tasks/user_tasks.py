"""Tasks on a user's own data, declared from a line of text: ``FAMILY=PATH[,key=value,...]``.

=================================  ========================================================================
``recognition=DIR``                folders of people: verification over pairs drawn from them
``recognition=DIR,pairs=FILE``     the pairs of a list: CSV (``first,second,same[,fold]``), LFW's ``pairs.txt``
``recognition=FILE.bin``           pictures and pairs of a ``.bin`` file, as face recognition packs have them
``recognition=DIR,gallery=first``  identification: the first picture of each person is the gallery
``expression=DIR``                 ``DIR/CLASS/...`` or ``DIR/{train,test}/CLASS/...``: canonical expressions
``classes=DIR``                    the same with classes of any name
``landmarks=CSV``                  ``image,x0,y0,x1,y1,...`` in pixels (the first pixel's centre is 0,0)
``pose=CSV``                       ``image,yaw,pitch,roll`` in degrees, signs of :mod:`paco_fr.faces.rotation`
``attributes=CSV``                 ``image`` and columns of 0 and 1, named by their attributes
``parsing=CSV,classes=A+B+...``    ``image,mask``: rasters of class numbers (8, 16, 32 bit, palette), background
                                   first, of the photograph's size; ``ignore=N``: pixels of number N do not count
=================================  ========================================================================

``pairs=FILE`` is relative to where one stands, or else to DIR. ``DIR`` may be a folder that `data align` wrote. Parts are
``train``, ``validation`` and ``test`` in any case and usual spelling (``Training``, ``val``, ``dev``, ``test_set``).

Columns may stand in any order and case. A CSV may add ``left,top,right,bottom`` (a box, which is then cut out with a
margin; else the whole picture is used), ``split`` (train, validation or test) and ``group`` (a person or photograph that
must stay together).
Pictures are named relative to the CSV. Without parts, a group is test when ``sha256(group) mod 5 == 1``.

Key of all: ``name=NAME`` (default: that of the folder or file). Keys of ``recognition``:
``crop=whole|farl|arcface|dlib|box`` (default ``whole``: the pictures are faces already cut out) and ``choice_from=TASK``
(default: the encoder's declared block and pooling). Other families join :data:`OWN`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paco_fr.contracts import CROPS, EXPRESSIONS, CropContract
from paco_fr.utils.errors import MissingDataError, PacoError, unknown_name
from tasks.registry import all_tasks
from tasks.task import FromData, Task

Options = Mapping[str, str]


def _common(family: str, name: str, path: str) -> dict[str, Any]:
    return {
        "name": f"{family}/{name}",
        "version": 1,
        "licence": "your own",
        "obtain": f"Make {path} readable.",
        "data_kind": "user",
        "tags": ("real", "own"),
        "tried_on": "real data",
    }


def recognition(folder: str, name: str, options: Options) -> Task:
    """Return the verification task of a folder of people, or of a list of pairs."""
    if Path(folder).suffix.lower() == ".bin" and Path(folder).is_file():
        options = {"pairs": folder, **options}
        folder = str(Path(folder).parent)
    if not Path(folder).is_dir():
        raise PacoError(
            f"recognition={folder}: is not a folder. Unpack an archive first, or name its folder."
        )
    from paco_fr.faces.crop import crop_of  # imported late: lists and help cut nothing

    common = _common("recognition", name, folder) | {
        "kind": "verification",
        "crop": crop_of(options.get("crop", "whole")),
        "split": "test_only",
        "choice_from": options.get("choice_from", ""),
        "reductions": ("global", "mean", "grid4"),
    }
    if "gallery" in options:
        if options["gallery"] != "first" or "pairs" in options:
            raise PacoError("recognition=: 'gallery' is 'first' and stands without 'pairs'.")
        return Task(
            reader="tasks.readers.user.own:read_searched",
            reader_options={"folder": folder},
            main_metric="rank1",
            options={"gallery_media": ("gallery",)},
            **common | {"name": f"{common['name']}_search", "kind": "identification"},
        )
    if "pairs" not in options:
        return Task(
            reader="tasks.readers.user.own:read_people",
            reader_options={"folder": folder},
            main_metric="auc",
            options={"pairs": "sampled", "impostors": 100_000},
            **common,
        )
    where = {"folder": folder, "pairs": _list_file(folder, options["pairs"])}
    return Task(
        reader="tasks.readers.user.own:read_paired",
        reader_options=where,
        main_metric="accuracy_10fold",
        options={"pairs": "list", "pair_list": FromData("tasks.readers.user.own:read_pair_list", where)},
        **common | {"version": 2},
    )


def _list_file(folder: str, name: str) -> str:
    """Return the path of a list: relative to where the caller stands, or else to the folder of the pictures."""
    here = Path(name).expanduser().resolve()
    return str(here if here.is_file() else Path(folder) / name)


def classes(path: str, name: str, options: Options) -> Task:
    """Return the task of a folder of class folders."""
    names = _class_names(Path(path))
    return Task(
        kind="classification",
        reader="tasks.readers.user.folder:read_classes",
        reader_options={"folder": path, "classes": names},
        crop=CROPS["whole"],
        main_metric="accuracy",
        options={"label": "expression", "classes": names},
        **_common("classes", name, path),
    )


def expression(path: str, name: str, options: Options) -> Task:
    """Return the task of a folder of expression folders."""
    for found in _class_names(Path(path)):
        if found not in EXPRESSIONS:
            raise unknown_name("expression folder", found, EXPRESSIONS)
    return Task(
        kind="classification",
        reader="tasks.readers.user.folder:read_classes",
        reader_options={"folder": path, "classes": EXPRESSIONS},
        crop=CROPS["whole"],
        main_metric="accuracy",
        options={"label": "expression"},
        **_common("expression", name, path),
    )


def landmarks(path: str, name: str, options: Options) -> Task:
    """Return the task of a CSV of points: the error is by the size of their box."""
    return Task(
        kind="landmarks",
        reader="tasks.readers.user.tables:read_points",
        reader_options={"table": path},
        crop=_crop(path),
        main_metric="nme_box",
        options={"normaliser": "box", "threshold": 7},
        **_common("landmarks", name, path),
    )


def pose(path: str, name: str, options: Options) -> Task:
    """Return the task of a CSV of head angles."""
    return Task(
        kind="pose",
        reader="tasks.readers.user.tables:read_angles",
        reader_options={"table": path},
        crop=_crop(path),
        main_metric="mae",
        **_common("pose", name, path),
    )


def attributes(path: str, name: str, options: Options) -> Task:
    """Return the task of a CSV of binary attributes."""
    from tasks.readers.user.tables import attribute_names

    names = attribute_names(_table(path))
    if not names:
        raise PacoError(f"{path}: names no attributes. Add a column of 0 and 1 for each.")
    return Task(
        kind="multilabel",
        reader="tasks.readers.user.tables:read_attributes",
        reader_options={"table": path, "names": names},
        crop=_crop(path),
        main_metric="mean_accuracy",
        options={"classes": names},
        **_common("attributes", name, path),
    )


def parsing(path: str, name: str, options: Options) -> Task:
    """Return the task of a CSV of masks."""
    names = tuple(options.get("classes", "").split("+"))
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise PacoError(f"parsing={path}: name its classes in order, as in classes=background+skin+hair.")
    return Task(
        kind="segmentation",
        reader="tasks.readers.user.tables:read_masks",
        reader_options={"table": path},
        crop=_crop(path),
        main_metric="mean_f1",
        reductions=("tokens",),
        options={"classes": names, **_ignored(path, options)},
        **_common("parsing", name, path),
    )


def _ignored(path: str, options: Options) -> dict[str, int]:
    if "ignore" not in options:
        return {}
    value = options["ignore"]
    if not (value.isascii() and value.isdigit()):
        raise PacoError(f"parsing={path}: ignore={value} is no class number. Write ignore=255, say.")
    return {"ignore": int(value)}


OWN: dict[str, tuple[Callable[[str, str, Options], Task], tuple[str, ...]]] = {
    "attributes": (attributes, ("name",)),
    "classes": (classes, ("name",)),
    "expression": (expression, ("name",)),
    "landmarks": (landmarks, ("name",)),
    "pose": (pose, ("name",)),
    "parsing": (parsing, ("classes", "name", "ignore")),
    "recognition": (recognition, ("pairs", "gallery", "name", "crop", "choice_from")),
}
"""Family -> how its task is made of path, name and options, and the keys that it knows."""


def own_task(text: str) -> Task:
    """Return the task that ``FAMILY=PATH[,key=value,...]`` declares; the path is made absolute.

    Raises:
        PacoError: another form, an unknown family or key (the nearest is named).
        MissingDataError: nothing lies at the path.

    """
    head, *rest = text.split(",")
    family, equals, place = head.partition("=")
    if not equals or not place:
        raise PacoError(f"'{text}' is not FAMILY=PATH[,key=value,...]. Families: {', '.join(OWN)}.")
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
    path = Path(place).expanduser().resolve()
    if not path.exists():
        raise MissingDataError(f"'{text}': {path} does not exist. Name a folder or table that is there.")
    made = make(str(path), options.get("name", path.stem), options)
    return replace(made, options={**made.options, "declared_as": f"--folder {text}"})


def named_task(name: str) -> Task:
    """Return the task of a name, or that which ``FAMILY=PATH[,key=value,...]`` declares.

    Raises:
        PacoError: there is no such task, see :func:`own_task`.

    """
    if "=" in name:
        return own_task(name)
    known = all_tasks()
    if name not in known:
        raise unknown_name("task", name, known)
    return known[name]


def _class_names(path: Path) -> tuple[str, ...]:
    """Return the sorted names of the class folders, of all parts together."""
    if not path.is_dir():
        raise PacoError(
            f"{path} is not a folder. Unpack the archive first, or name the folder of class folders."
        )
    from paco_fr.faces.listing import folders_in
    from tasks.readers.user.folder import part_folders  # imported late: lists and help read no folders

    names = sorted({child.name for root in part_folders(path).values() for child in folders_in(root)})
    if len(names) < 2:
        raise PacoError(f"{path}: {len(names)} class folders; a classification needs at least two.")
    return tuple(names)


def _table(path: str) -> Path:
    if not Path(path).is_file():
        raise PacoError(f"{path} is not a file. Name the CSV itself.")
    return Path(path)


def _crop(path: str) -> CropContract:
    """Return the box crop where the table has boxes, else the whole picture."""
    from tasks.readers.user.tables import columns_of, has_box  # imported late: lists and help read no tables

    boxed = has_box(columns_of(_table(path)))
    return CropContract("box", margin=0.25, canvas=224) if boxed else CropContract("whole", canvas=224)
