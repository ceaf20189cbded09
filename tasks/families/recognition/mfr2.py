"""MFR2: 848 pairs of faces with and without real masks, from the folders of people and pairs.txt."""

from paco_fr.contracts import CROPS, CropContract
from tasks.readers.dataset_info import MFR2
from tasks.readers.declared import found_points
from tasks.task import FromData, Task

TASK = Task(
    name="recognition/mfr2",
    version=4,
    kind="verification",
    reader="tasks.readers.recognition.mfr2:read_mfr2",
    crop=CropContract("whole", canvas=160),
    main_metric="accuracy_10fold",
    options={
        "pairs": "list",
        "pair_list": FromData("tasks.readers.recognition.mfr2:read_pair_list"),
        "expected": {"pairs": 848},
    },
    files=("mfr2/pairs.txt",),
    tags=("real", "occlusion"),
    cut="as released, cut out by a detector",
    variants={
        "aligned": {
            "crop": CROPS["arcface"],
            "cut": "insightface's, of points that a detector found",
            **found_points("mfr2"),
        }
    },
    **MFR2,
)
