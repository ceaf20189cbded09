"""Protocol 2: 16 of BIWI's 24 sequences for training, 8 for testing."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import BIWI
from tasks.task import Task

TASK = Task(
    name="pose/biwi-70-30",
    version=1,
    kind="pose",
    reader="tasks.readers.pose.head_pose:read_protocol2",
    crop=CropContract("box", canvas=224),
    main_metric="mae",
    options={"lenient": True, "filter": 99, "expected": {"total": 15_678}},
    files=("BIWI",),
    tags=("real", "pose"),
    cut="a square of 180 mm around the true head, where the field has a detector's box",
    **BIWI,
)
