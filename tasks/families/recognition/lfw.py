"""Labeled Faces in the Wild, View 2: 6,000 pairs in ten folds, from the folder and pairs.txt."""

from paco_fr.contracts import CROPS, CropContract
from tasks.readers.dataset_info import LFW
from tasks.readers.declared import found_points
from tasks.task import FromData, Task

TASK = Task(
    name="recognition/lfw",
    version=3,
    kind="verification",
    reader="tasks.readers.recognition.lfw:read_lfw",
    crop=CropContract("box", margin=0.25),
    main_metric="accuracy_10fold",
    options={
        "pairs": "list",
        "pair_list": FromData("tasks.readers.recognition.lfw:read_pair_list"),
        "expected": {"pairs": 6_000, "genuine": 3_000},
    },
    split="test_only",
    choice_from="recognition/synthetic",
    flip="sum",
    reductions=("global", "mean", "grid4"),
    files=("lfw/pairs.txt",),
    tags=("real",),
    tried_on="real data",
    cut="the middle of each picture, 250 / 2.2 pixels wide, not aligned",
    variants={
        "aligned": {
            "crop": CROPS["arcface"],
            "cut": "insightface's, of points that a detector found",
            **found_points("lfw"),
        }
    },
    **LFW,
)
