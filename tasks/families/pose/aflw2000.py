"""Protocol 1: trained on 300W-LP, tested on AFLW2000-3D; crop, filter and bins of yaw as in its reader."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import AFLW2000
from tasks.task import Task

TASK = Task(
    name="pose/aflw2000",
    version=2,
    kind="pose",
    reader="tasks.readers.pose.head_pose:read_protocol1",
    reader_options={"test": "aflw2000"},
    crop=CropContract("box", canvas=224),
    main_metric="mae",
    options={"lenient": True, "filter": 99, "expected": {"total": 124_450, "test": 1_969}},
    subsets=("yaw0-30", "yaw30-60", "yaw60-90"),
    files=("300W_LP", "AFLW2000"),
    tags=("real", "pose"),
    **AFLW2000,
)
