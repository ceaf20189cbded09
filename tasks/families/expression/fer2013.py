"""FER2013: seven expressions of small grey faces, fitted without class balancing."""

from paco_fr.contracts import BASIC_EXPRESSIONS, CropContract
from tasks.task import Task

TASK = Task(
    name="expression/fer2013",
    version=2,
    kind="classification",
    reader="tasks.readers.expression.fer2013:read_fer2013",
    crop=CropContract("whole", canvas=48),
    main_metric="accuracy",
    options={
        "label": "expression",
        "classes": BASIC_EXPRESSIONS,
        "expected": {"train": 28_709, "validation": 3_589, "test": 3_589},
    },
    licence="Research only, by the terms of the 2013 ICML challenge",
    obtain="Download fer2013.csv (the 2013 ICML challenge on Kaggle) into <data root>/FER2013.",
    citation="Goodfellow et al. 2013, Challenges in Representation Learning, arXiv 1307.0414",
    files=("FER2013/fer2013.csv",),
    tags=("real",),
)
