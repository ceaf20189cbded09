"""AffectNet with eight expressions; its validation set is the test part. Fitted without class balancing."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import AFFECTNET
from tasks.task import Task

TASK = Task(
    name="expression/affectnet8",
    version=1,
    kind="classification",
    reader="tasks.readers.expression.affectnet:read_affectnet",
    reader_options={"classes": 8},
    crop=CropContract("whole", canvas=224),
    main_metric="accuracy",
    options={"label": "expression", "expected": {"train": 287_651, "test": 4_000}},
    files=("AffectNet/train_set", "AffectNet/val_set"),
    tags=("real",),
    **AFFECTNET,
)
