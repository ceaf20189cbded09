"""Multi-PIE (Gross et al. 2010): 337 people, 13 head-high cameras, 20 flashes, four sessions, 640 x 480.

``Multi-PIE/data/session01/multiview/PPP/01/05_1/PPP_01_01_051_07.png``: person, session, recording, camera, flash.
Recording 01 is neutral in every session; camera 05_1 is frontal, flash 07 stands at it. Two settings (as GAN papers
since 2017 describe them; sizes unproven):

- setting 1: session 1; the first 150 of 250 people are train, the others test;
- setting 2: all sessions; the first 200 of 337 people are train, the others test.

Where there are fewer people, three fifths of them are train.

The gallery is the frontal picture under flash 07 of the first session that shows a person, the probes are all pictures
of the views from 15 to 90 degrees, whatever the flash; other frontal pictures of test people take no part
(``split`` "excluded"). The set has no boxes: the crop is the middle square of 480 pixels, in which published
works find the face by a detector. The layout is known from public descriptions only: unproven.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

from datasets import Dataset

from paco_fr.faces.listing import is_hidden
from paco_fr.utils.errors import PacoError
from tasks.readers.dataset_info import MULTIPIE
from tasks.readers.files import FormatError, require_folder, require_size, to_records

FOLDER = "Multi-PIE"
OBTAIN: str = MULTIPIE["obtain"]
VIEWS = {
    **{"11_0": -90, "12_0": -75, "09_0": -60, "08_0": -45, "13_0": -30, "14_0": -15, "05_1": 0},
    **{"05_0": 15, "04_1": 30, "19_0": 45, "20_0": 60, "01_0": 75, "24_0": 90},
}
"""Camera -> its angle in degrees; the two surveillance cameras, 08_1 and 19_1, are left out."""
SETTINGS = {1: (("session01",), 150), 2: (("session01", "session02", "session03", "session04"), 200)}
"""Setting -> its sessions and number of train people."""
TRAIN_SHARE = 0.6
NEUTRAL, FRONTAL_FLASH = "01", "07"
MIDDLE_SQUARE = [79.5, -0.5, 559.5, 479.5]
_NAME = re.compile(r"(\d{3})_(\d\d)_(\d\d)_(\d{3})_(\d\d)\.(?i:png)")


def read_multipie(data_root: str | Path | None, setting: int, folder: str = FOLDER) -> Dataset:
    """Return the neutral pictures of a setting with ``media`` "gallery" or "probe" and subsets "view15" to "view90".

    Raises:
        MissingDataError: the folder of a session is not there.
        FormatError: a picture whose name says something else than its folders.
        PacoError: no pictures, or no people left to test on.

    """
    root = require_folder(Path(data_root or ".") / folder, OBTAIN)
    sessions, train_people = SETTINGS[setting]
    rows = [row for session in sessions for row in _rows(root / "data" / session / "multiview")]
    if not rows:
        raise PacoError(f"{root}: no neutral pictures of the {len(VIEWS)} cameras. {OBTAIN}")
    require_size([row["image"] for row in rows], 640, 480, str(root), "Restore the original pictures.")
    people = sorted({row["group"] for row in rows})
    train = set(people[: min(train_people, ceil(TRAIN_SHARE * len(people)))])
    enrolled = set[str]()
    for row in rows:
        person, frontal = row["group"], row["subsets"] == ["view0"]
        row["split"] = "train" if person in train else "test"
        row["media"] = "probe"
        if frontal and row["light"] == FRONTAL_FLASH and person not in enrolled:
            row["media"] = "gallery"
            enrolled.add(person)
        elif frontal and row["split"] == "test":
            row["split"] = "excluded"
    return to_records(rows, str(root))


def _rows(multiview: Path) -> Iterator[dict[str, Any]]:
    """Yield the neutral pictures of one session by person, camera and flash."""
    for path in sorted(require_folder(multiview, OBTAIN).glob(f"*/{NEUTRAL}/*/*.[pP][nN][gG]")):
        camera, person = path.parent.name, path.parts[-4]
        if camera not in VIEWS or is_hidden(path.name):
            continue
        found = _NAME.fullmatch(path.name)
        if found is None or (found[1], found[3], found[4]) != (person, NEUTRAL, camera.replace("_", "")):
            raise FormatError(
                path, None, f"is not of person {person}, camera {camera}", "Restore the folder."
            )
        yield {"image": str(path), "image_id": path.stem, "group": person, "identity": person, "box": MIDDLE_SQUARE,
               "light": found[5], "subsets": [f"view{abs(VIEWS[camera])}"]}  # fmt: skip
