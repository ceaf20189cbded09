"""Neutral gallery, smiling probes of the London Set under one fixed crop, with a face-free control."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import LONDON
from tasks.task import Task

TASK = Task(
    name="recognition/london",
    version=1,
    kind="verification",
    reader="tasks.readers.landmarks.london:read_recognition",
    crop=CropContract("box", margin=0.25),
    main_metric="auc",
    options={"pairs": "gallery_probe", "gallery": "neutral", "probe": "smiling"},
    split="selection_only",
    views=("control",),
    files=("london_set/neutral_front", "london_set/smiling_front"),
    tags=("real",),
    tried_on="real data",
    **LONDON,
)
