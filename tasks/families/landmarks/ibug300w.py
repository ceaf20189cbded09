"""300W: 68 points by the outer eye corners and by the pupils; common, challenging and full test set."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import PTS_300W
from tasks.task import Task

TASK = Task(
    name="landmarks/300w",
    version=1,
    kind="landmarks",
    reader="tasks.readers.landmarks.ibug:read_300w",
    crop=CropContract("box", margin=0.25, canvas=224),
    main_metric="nme_interocular",
    options={
        "normaliser": "outer_corners",
        "corners": (36, 45),
        "pupils": (range(36, 42), range(42, 48)),
        "threshold": 10,
        "expected": {"train": 3_148, "test": 689, "common": 554, "challenge": 135},
    },
    subsets=("common", "challenge"),
    files=("300W",),
    tags=("real",),
    **PTS_300W,
)
