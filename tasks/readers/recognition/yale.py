"""Extended Yale B, cropped (Georghiades et al. 2001; Lee et al. 2005): 38 people under 64 lights, 168 x 192, grey.

``CroppedYale/yaleB11/yaleB11_P00A+035E+65.pgm`` says who is shown and where the light stood: azimuth and elevation in
degrees. Pictures of the ambient light alone (``_Ambient.pgm``) and the damaged ones (``.pgm.bad``) are no part of the
protocol and are passed over; there is no ``yaleB14``. Of 2,432 pictures 2,414 are whole.

The five subsets go by the angle between the light and the camera's axis, the arc cosine of cos(azimuth)
cos(elevation): up to 12, 25, 50, 77 degrees and beyond. The sizes 7, 12, 12, 14 and 19 a person come out only if the
light at azimuth 35, elevation 40 (51.1 degrees) counts as 50: :data:`LIMITS` says 52. Of the genuine set all 2,414 are
read, and all subsets have their sizes.
"""

from __future__ import annotations

import re
from math import acos, cos, degrees, radians
from pathlib import Path

from datasets import Dataset

from paco_fr.utils.errors import PacoError
from tasks.readers.dataset_info import YALE
from tasks.readers.files import FormatError, require_folder, to_records

FOLDER = "CroppedYale"
OBTAIN: str = YALE["obtain"]
LIMITS = (12.0, 25.0, 52.0, 77.0)
_NAME = re.compile(r"(yaleB\d\d)_P00(A([+-]\d{3})E([+-]\d{2}))\.(?i:pgm)")


def subset_of_light(azimuth: float, elevation: float) -> int:
    """Return the number of the subset, 1 to 5, of a light's direction in degrees."""
    angle = round(degrees(acos(cos(radians(azimuth)) * cos(radians(elevation)))), 6)  # 25 degrees are 25
    return 1 + sum(angle > limit for limit in LIMITS)


def read_yale(data_root: str | Path | None, folder: str = FOLDER) -> Dataset:
    """Return all pictures by person and light; ``media`` and ``subsets`` name the subset, ``light`` its direction.

    Raises:
        MissingDataError: the folder is not there.
        FormatError: a picture in the folder of another person.
        PacoError: no pictures of such names.

    """
    root, rows = require_folder(Path(data_root or ".") / folder, OBTAIN), []
    for path in sorted(root.glob("yaleB*/*.[pP][gG][mM]")):
        found = _NAME.fullmatch(path.name)
        if found is None:
            continue
        person, light, azimuth, elevation = found.groups()
        if person != path.parent.name:
            raise FormatError(path, None, f"shows {person} in the folder of another", "Restore the folder.")
        subset = f"subset{subset_of_light(float(azimuth), float(elevation))}"
        rows.append({"image": str(path), "image_id": f"{person}/{light}", "group": person, "identity": person,
                     "media": subset, "light": light, "subsets": [subset], "split": "test"})  # fmt: skip
    if not rows:
        raise PacoError(f"{root}: no pictures named yaleBNN/yaleBNN_P00A+000E+00.pgm. {OBTAIN}")
    return to_records(rows, str(root))
