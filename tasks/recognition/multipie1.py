"""Multi-PIE, setting 1: rank 1 by view, from 15 to 90 degrees, against one frontal picture a person."""

from paco_fr.contracts import CropContract
from tasks.readers.sources import MULTIPIE
from tasks.task import Task

TASK = Task(
    name="recognition/multipie1",
    version=1,
    kind="identification",
    reader="tasks.readers.multipie:read_multipie",
    reader_options={"setting": 1},
    crop=CropContract("box", canvas=224),
    main_metric="rank1",
    options={"gallery_media": ("gallery",)},
    reductions=("global", "mean", "grid4"),
    subsets=("view15", "view30", "view45", "view60", "view75", "view90"),
    files=("Multi-PIE",),
    tags=("real", "pose", "illumination"),
    **MULTIPIE,
)
