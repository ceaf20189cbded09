"""WFLW: 98 points by the outer eye corners, and its six subsets."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import RESEARCH
from tasks.readers.declared import of_box, pipnet
from tasks.task import Task

SUBSETS = {"pose": 326, "expression": 314, "illumination": 698, "makeup": 206, "occlusion": 736, "blur": 773}

TASK = Task(
    name="landmarks/wflw",
    version=2,
    kind="landmarks",
    reader="tasks.readers.landmarks.wflw:read_wflw",
    reader_options={"box": "whole points"},
    crop=CropContract("box", margin=0.125, canvas=224),
    main_metric="nme_interocular",
    options={
        "normaliser": "outer_corners",
        "corners": (60, 72),
        "pupils": (96, 97),
        "threshold": 10,
        "farl_grid": True,
        "expected": {"train": 7_500, "test": 2_500, **SUBSETS},
    },
    licence=RESEARCH,
    obtain="Download images and annotations from wywu.github.io/projects/LAB/WFLW.html into <data root>/WFLW.",
    citation="Wu et al. 2018, Look at Boundary, arXiv 1805.10483",
    subsets=tuple(SUBSETS),
    files=("WFLW/WFLW_annotations", "WFLW/WFLW_images"),
    tags=("real", "pose", "illumination", "occlusion"),
    cut="HRNet's and FaRL's, of all points",
    variants={
        "pipnet": pipnet("pipnet wflw", "1.2 times the supplied box"),
        "box": of_box("supplied", "the supplied box"),
    },
)
