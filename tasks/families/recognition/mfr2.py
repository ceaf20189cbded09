"""MFR2: 848 pairs of faces with and without real masks, from the folders of people and pairs.txt."""

from paco_fr.contracts import CROPS
from tasks.readers.dataset_info import MFR2
from tasks.task import FromData, Task

TASK = Task(
    name="recognition/mfr2",
    version=2,
    kind="verification",
    reader="tasks.readers.recognition.mfr2:read_mfr2",
    crop=CROPS["whole"],
    main_metric="accuracy_10fold",
    options={
        "pairs": "list",
        "pair_list": FromData("tasks.readers.recognition.mfr2:read_pair_list"),
        "expected": {"pairs": 848},
    },
    files=("mfr2/pairs.txt",),
    tags=("real", "occlusion"),
    **MFR2,
)
