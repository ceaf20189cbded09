"""134 points of the London Set on jittered crops, ridge on subject-disjoint folds."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import LONDON
from tasks.task import Task

TASK = Task(
    name="landmarks/london",
    version=1,
    kind="landmarks",
    reader="tasks.readers.landmarks.london:read_landmarks",
    crop=CropContract("box", margin=0.25, jitter=0.1, copies=6),
    main_metric="nme_interocular",
    options={"normaliser": "outer_corners", "corners": (18, 27), "pupils": (0, 1), "threshold": 10},
    split="subject_folds",
    files=("london_set/neutral_front",),
    tags=("real",),
    tried_on="real data",
    **LONDON,
)
