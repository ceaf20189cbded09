"""ORL (AT&T) faces: the first picture of each person is the gallery, the others are searched for.

Small and nearly saturated (raw pixels reach 0.96 at rank 1): a test of plumbing more than of features. The
gallery lacks about a quarter of the people, whose pictures are the non-mated searches.
"""

from paco_fr.contracts import CROPS
from tasks.readers.dataset_info import ORL
from tasks.task import Task

TASK = Task(
    name="recognition/orl",
    version=2,
    kind="identification",
    reader="tasks.readers.recognition.orl:read_orl",
    crop=CROPS["whole"],
    main_metric="rank1",
    options={"gallery_media": ("1",), "unenrolled": 0.25, "expected": {"total": 400}},
    split="test_only",
    reductions=("global", "mean", "grid4"),
    files=("orl_faces",),
    tags=("real",),
    tried_on="real data",
    **ORL,
)
