"""Extended Yale B: subset 1 (light near the camera) is the gallery, subsets 2 to 5 are searched for, each for itself."""

from paco_fr.contracts import CROPS
from tasks.readers.dataset_info import YALE
from tasks.task import Task

SUBSETS = {"subset2": 456, "subset3": 455, "subset4": 526, "subset5": 714}

TASK = Task(
    name="recognition/yale",
    version=3,
    kind="identification",
    reader="tasks.readers.recognition.yale:read_yale",
    crop=CROPS["whole"],
    main_metric="rank1",
    options={"gallery_media": ("subset1",), "expected": {"total": 2_414, "subset1": 263, **SUBSETS}},
    split="test_only",
    choice_from="recognition/synthetic",
    reductions=("global", "mean", "grid4"),
    subsets=tuple(SUBSETS),
    files=("CroppedYale",),
    tags=("real", "illumination"),
    tried_on="real data",
    **YALE,
)
