"""RAF-DB basic (Li et al. 2017): ``RAF-DB/basic/EmoLabel/list_patition_label.txt`` (so spelt) and aligned pictures.

A line is ``train_00001.jpg 5``; the picture is ``Image/aligned/train_00001_aligned.jpg``, 100 x 100. Codes 1 to 7 are
surprise, fear, disgust, happiness, sadness, anger, neutral; codes above 7 belong to the compound subset, which
is another task. The layout is known from public loaders only: unproven.
"""

from __future__ import annotations

from pathlib import Path

from datasets import Dataset

from paco_fr.contracts import EXPRESSIONS
from paco_fr.utils.errors import quoted
from tasks.readers.files import FormatError, inside, is_whole, once, read_lines, require_folder, to_records

FOLDER = "RAF-DB"
OBTAIN = "Ask whdeng.cn/RAF for RAF-DB and unpack its basic folder to <data root>/RAF-DB/basic."
REMEDY = "Restore the original list of the basic subset."
CODES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


def read_rafdb(data_root: str | Path, folder: str = FOLDER) -> Dataset:
    """Return the basic subset with ``expression`` and the official train and test parts.

    Raises:
        MissingDataError: list or folder are not there.
        FormatError: not two columns, a code outside 1 to 7, a name twice or of no part; names file and line.

    """
    root = require_folder(Path(data_root) / folder, OBTAIN) / "basic"
    images = require_folder(root / "Image/aligned", OBTAIN)
    path, rows, seen = root / "EmoLabel/list_patition_label.txt", [], dict[str, int]()
    for line, text in enumerate(read_lines(path, obtain=OBTAIN), 1):
        fields = text.split()
        if len(fields) != 2:
            raise FormatError(path, line, f"{len(fields)} columns, expected a name and a code", REMEDY)
        name, code = once(seen, fields[0], path, line, REMEDY), fields[1]
        if code not in {str(n) for n in range(1, 8)}:
            hint = "it belongs to the compound subset. " if is_whole(code) and int(code) > 7 else ""
            raise FormatError(path, line, f"label {quoted(code)} is not 1 to 7", hint + REMEDY)
        split = name.partition("_")[0]
        if split not in ("train", "test"):
            raise FormatError(path, line, f"{quoted(name)} begins with neither train_ nor test_", REMEDY)
        stem = name.removesuffix(".jpg")
        image = inside(images, f"{stem}_aligned.jpg", path)
        label = EXPRESSIONS.index(CODES[int(code) - 1])
        rows.append(
            {"image": str(image), "image_id": stem, "group": stem, "expression": label, "split": split}
        )
    return to_records(rows, str(root))
