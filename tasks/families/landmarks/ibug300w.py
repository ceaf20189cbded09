"""300W: 68 points by the outer eye corners and by the pupils; common, challenging and full test set."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import PTS_300W
from tasks.readers.declared import of_box, pipnet
from tasks.task import Task

TASK = Task(
    name="landmarks/300w",
    version=2,
    kind="landmarks",
    reader="tasks.readers.landmarks.ibug:read_300w",
    reader_options={"box": "whole points"},
    crop=CropContract("box", margin=0.125, canvas=224),
    main_metric="nme_interocular",
    options={
        "normaliser": "outer_corners",
        "corners": (36, 45),
        "pupils": (range(36, 42), range(42, 48)),
        "threshold": 10,
        "farl_grid": True,
        "expected": {"train": 3_148, "test": 689, "common": 554, "challenge": 135},
    },
    subsets=("common", "challenge"),
    files=("300W",),
    tags=("real",),
    cut="HRNet's and FaRL's, of all points",
    variants={
        "pipnet": pipnet("pipnet 300w", "1.1 times the box of all points"),
        "box": of_box("points", "all points"),
    },
    **PTS_300W,
)
