"""CelebAMask-HQ: nineteen classes a pixel at 512 x 512, F1 from the summed confusion matrix, background left out."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import CELEBAMASK, CELEBAMASK_CLASSES
from tasks.task import Task

TASK = Task(
    name="parsing/celebamask",
    version=2,
    kind="segmentation",
    reader="tasks.readers.parsing.celebamask:read_celebamask",
    crop=CropContract("whole", canvas=512),
    main_metric="mean_f1",
    reductions=("tokens",),
    options={
        "classes": CELEBAMASK_CLASSES,
        "mask": "canvas",
        "expected": {"train": 24_183, "validation": 2_993, "test": 2_824},
    },
    files=(
        "CelebAMask-HQ/CelebA-HQ-img",
        "CelebAMask-HQ/CelebAMask-HQ-mask-anno",
        "CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt",
        "CelebAMask-HQ/list_eval_partition.txt",
    ),
    tags=("real",),
    cut="FaRL's",
    **CELEBAMASK,
)
