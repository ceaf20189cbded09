"""CelebAMask-HQ (Lee et al. 2020): 30,000 pictures of 1024 x 1024 with one binary mask of 512 x 512 a part.

``CelebAMask-HQ/CelebA-HQ-img/N.jpg``, ``CelebAMask-HQ-mask-anno/{N // 2000}/{N:05d}_PART.png`` (absent where the
part is), ``CelebA-HQ-to-CelebA-mapping.txt`` (a header, then ``idx orig_idx orig_file``), and CelebA's
``list_eval_partition.txt`` beside it, which gives the parts. A mask of classes is painted from the part masks
in the fixed order of ``CLASSES``, later ones over earlier ones, and kept in the package's cache. The layout
is known from public loaders only: unproven.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from paco_fr.contracts import content_hash
from paco_fr.faces.contents import contents_of
from paco_fr.faces.decode import encode_png, read_labels
from paco_fr.faces.listing import as_path
from paco_fr.faces.records import ROWS
from paco_fr.utils.errors import quoted
from paco_fr.utils.files import atomic_file, cache_folder, hold, put_aside
from tasks.readers.attributes.celeba import SPLITS
from tasks.readers.dataset_info import CELEBAMASK, CELEBAMASK_CLASSES
from tasks.readers.files import FormatError, is_whole, once, read_lines, reading, require_folder, to_records

FOLDER = "CelebAMask-HQ"
OBTAIN: str = CELEBAMASK["obtain"]
REMEDY = "Restore the original list."
CLASSES = CELEBAMASK_CLASSES
SIDE = 512


def read_celebamask(data_root: str | Path, folder: str = FOLDER) -> Dataset:
    """Return all pictures of the mapping with a painted mask and CelebA's split.

    Raises:
        MissingDataError: a list or folder is not there.
        FormatError: header, columns, a picture twice, or one without a part; names file and line.

    """
    root = require_folder(Path(data_root) / folder, OBTAIN)
    images = require_folder(root / "CelebA-HQ-img", OBTAIN)
    masks = require_folder(root / "CelebAMask-HQ-mask-anno", OBTAIN)
    parts = dict[str, str]()
    partition = root / "list_eval_partition.txt"
    for line, text in enumerate(read_lines(partition, obtain=OBTAIN), 1):
        fields = text.split()
        if len(fields) != 2 or fields[1] not in SPLITS:
            raise FormatError(partition, line, f"{quoted(text)} is not a name with 0, 1 or 2", REMEDY)
        parts[fields[0]] = SPLITS[fields[1]]
    path, seen, rows = root / "CelebA-HQ-to-CelebA-mapping.txt", dict[str, int](), list[dict[str, Any]]()
    lines = read_lines(path, obtain=OBTAIN)
    if not lines or lines[0].split() != ["idx", "orig_idx", "orig_file"]:
        raise FormatError(path, 1, "the header is not idx orig_idx orig_file", REMEDY)
    for line, text in enumerate(lines[1:], 2):
        fields = text.split()
        if len(fields) != 3 or not is_whole(fields[0]):
            raise FormatError(path, line, f"{quoted(text)} is not a number, a number and a name", REMEDY)
        number = once(seen, fields[0], path, line, REMEDY)
        if fields[2] not in parts:
            raise FormatError(path, line, f"{quoted(fields[2])} has no part in {partition.name}", REMEDY)
        rows.append({"image": str(images / f"{number}.jpg"), "image_id": number, "group": number,
                     "mask_classes": list(CLASSES), "split": parts[fields[2]]})  # fmt: skip
    for at in reading(range(0, len(rows), ROWS)):
        files = [_part_masks(masks, int(row["image_id"])) for row in rows[at : at + ROWS]]
        contents = iter(contents_of([file for each in files for file in each.values()]))
        for row, each in zip(rows[at : at + ROWS], files, strict=True):
            row["mask"] = str(painted(each, [next(contents) for _ in each]))
    return to_records(rows, str(root))


def _whole(path: Path) -> bool:
    """Say whether a PNG file is as it was written: each of its parts carries a checksum of its own."""
    with suppress(OSError, ValueError, SyntaxError):
        content = path.read_bytes()
        at = 8
        while content[:8] == b"\x89PNG\r\n\x1a\n" and at < len(content):
            size = int.from_bytes(content[at : at + 4])
            part, end = content[at + 4 : at + 8 + size], at + 8 + size
            if zlib.crc32(part) != int.from_bytes(content[end : end + 4]) or end + 4 > len(content):
                return False
            if part[:4] == b"IEND":
                return end + 4 == len(content)
            at = end + 4
    return False


def _part_masks(masks: Path, number: int) -> dict[str, Path]:
    """Return where the mask of each part of a picture would lie."""
    named = {name: masks / str(number // 2000) / f"{number:05d}_{name}.png" for name in CLASSES[1:]}
    return {name: Path(as_path(str(file))) for name, file in named.items()}


def painted(files: dict[str, Path], contents: list[bytes | None]) -> Path:
    """Return the file with the class of every pixel, painted on first use from the part masks of one picture.

    Args:
        files: of the masks, by part.
        contents: sha256 of each, None where it is absent or cannot be read.

    """
    held = dict(zip(files, contents, strict=True))
    there = {name: file for name, file in files.items() if held[name] is not None or file.exists()}
    digests = {name: digest.hex() for name, digest in held.items() if digest is not None}
    folder = cache_folder("masks")
    hold(folder / "all")
    target = folder / f"{content_hash([CLASSES, digests, sorted(there), 'non-zero'])}.png"
    if target.exists() and not _whole(target):
        put_aside(target, "it is no whole picture")
    if not target.exists():
        classes = np.zeros((SIDE, SIDE), dtype=np.uint8)
        for name, file in there.items():
            part = read_labels(file)
            if part.shape != classes.shape:
                raise FormatError(
                    file, None, f"is {part.shape[1]} x {part.shape[0]}, expected {SIDE} x {SIDE}", REMEDY
                )
            classes[part != 0] = CLASSES.index(name)
        with atomic_file(target) as temporary:
            temporary.write_bytes(encode_png(classes))
    return target
