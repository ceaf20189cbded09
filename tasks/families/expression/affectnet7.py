"""AffectNet with seven expressions, contempt left out; its validation set is the test part. Fitted without class balancing."""

from paco_fr.contracts import BASIC_EXPRESSIONS, CropContract
from tasks.readers.dataset_info import AFFECTNET
from tasks.task import Task

TASK = Task(
    name="expression/affectnet7",
    version=2,
    kind="classification",
    reader="tasks.readers.expression.affectnet:read_affectnet",
    reader_options={"classes": 7},
    crop=CropContract("whole", canvas=224),
    main_metric="accuracy",
    options={
        "label": "expression",
        "classes": BASIC_EXPRESSIONS,
        "expected": {"total": 291_651, "test": 3_500},  # contempt takes no part, but is there
    },
    files=("AffectNet/train_set", "AffectNet/val_set"),
    tags=("real",),
    **AFFECTNET,
)
