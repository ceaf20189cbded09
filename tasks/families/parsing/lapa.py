"""LaPa: eleven classes a pixel, F1 from the summed confusion matrix at the pictures' own size, background left out."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import LAPA, LAPA_CLASSES
from tasks.task import Task

TASK = Task(
    name="parsing/lapa",
    version=2,
    kind="segmentation",
    reader="tasks.readers.parsing.lapa:read_lapa",
    crop=CropContract("template", template="farl-corners", canvas=512, warp=0.8),
    main_metric="mean_f1",
    reductions=("tokens",),
    options={
        "classes": LAPA_CLASSES,
        "expected": {"train": 18_176, "validation": 2_000, "test": 2_000},
    },
    files=("LaPa/train", "LaPa/val", "LaPa/test"),
    tags=("real",),
    cut="FaRL's, of true points 104, 105, 54, 84, 90",
    variants={
        "aligned": {
            "crop": CropContract("template", template="farl-corners", canvas=512),
            "cut": "FaRL's without its warp, of true points 104, 105, 54, 84, 90",
        },
        "box": {"crop": CropContract("box", margin=0.4, canvas=224), "cut": "of all points"},
    },
    **LAPA,
)
