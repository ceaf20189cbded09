"""WFLW: 98 points by the outer eye corners, and its six subsets."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import RESEARCH
from tasks.task import Task

SUBSETS = {"pose": 326, "expression": 314, "illumination": 698, "makeup": 206, "occlusion": 736, "blur": 773}

TASK = Task(
    name="landmarks/wflw",
    version=1,
    kind="landmarks",
    reader="tasks.readers.landmarks.wflw:read_wflw",
    crop=CropContract("box", margin=0.25, canvas=224),
    main_metric="nme_interocular",
    options={
        "normaliser": "outer_corners",
        "corners": (60, 72),
        "pupils": (96, 97),
        "threshold": 10,
        "expected": {"train": 7_500, "test": 2_500, **SUBSETS},
    },
    licence=RESEARCH,
    obtain="Download images and annotations from wywu.github.io/projects/LAB/WFLW.html into <data root>/WFLW.",
    citation="Wu et al. 2018, Look at Boundary, arXiv 1805.10483",
    subsets=tuple(SUBSETS),
    files=("WFLW/WFLW_annotations", "WFLW/WFLW_images"),
    tags=("real", "pose", "illumination", "occlusion"),
)
