"""IJB-C 1:1: pairs of templates, each pooled from stills and video frames; TAR at FAR 1e-6 to 1e-1."""

from paco_fr.contracts import CROPS
from tasks.readers.dataset_info import IJBC, IJBC_COUNTS
from tasks.task import FromData, Task

SET = {"name": "ijbc"}

TASK = Task(
    name="recognition/ijbc",
    version=3,
    kind="templates",
    reader="tasks.readers.recognition.ijb:read_faces",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="tar@far=1e-4",
    options={
        "pair_list": FromData("tasks.readers.recognition.ijb:read_template_pairs", SET),
        "expected": {**IJBC_COUNTS, "pairs": 15_658_489, "genuine": 19_557},
    },
    files=("IJBC/loose_crop", "IJBC/meta/ijbc_template_pair_label.txt"),
    **IJBC,
)
