"""Protocol 1: trained on 300W-LP, tested on AFLW2000-3D; crop, filter and bins of yaw as in its reader."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import AFLW2000
from tasks.task import Task

TASK = Task(
    name="pose/aflw2000",
    version=3,
    kind="pose",
    reader="tasks.readers.pose.head_pose:read_protocol1",
    reader_options={"test": "aflw2000", "rule": "6drepnet"},
    crop=CropContract("box", canvas=224),
    main_metric="mae",
    options={"lenient": True, "filter": 99, "expected": {"total": 124_450, "test": 1_969}},
    subsets=("yaw0-30", "yaw30-60", "yaw60-90"),
    files=("300W_LP", "AFLW2000"),
    tags=("real", "pose"),
    cut="6DRepNet's, of pt2d with hidden points, k = 0.2, centre 224 of 256; training k drawn of 0.2 to 0.4, 0.6k sideways",
    variants={
        "hopenet": {
            "reader_options": {"rule": "hopenet"},
            "cut": "HopeNet's, of pt2d with hidden points, k = 0.2; training k drawn of 0.2 to 0.4, 0.6k sideways",
        },
        "fsanet": {
            "reader_options": {"rule": "fsanet"},
            "crop": CropContract("stretched", canvas=64),
            "cut": "FSA-Net's, of the points of pt2d that are seen, margin 0.6",
        },
        "landmarks": {
            "reader_options": {"rule": "landmarks"},
            "cut": "of all 68 points, k = 0.2, nothing drawn",
        },
    },
    **AFLW2000,
)
