"""IJB-B 1:1: pairs of templates, each pooled from stills and video frames; TAR at FAR 1e-6 to 1e-1."""

from paco_fr.contracts import CROPS
from tasks.readers.dataset_info import IJBB, IJBB_COUNTS
from tasks.task import FromData, Task

SET = {"name": "ijbb"}

TASK = Task(
    name="recognition/ijbb",
    version=3,
    kind="templates",
    reader="tasks.readers.recognition.ijb:read_faces",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="tar@far=1e-4",
    options={
        "pair_list": FromData("tasks.readers.recognition.ijb:read_template_pairs", SET),
        "expected": {**IJBB_COUNTS, "pairs": 8_010_270, "genuine": 10_270},
    },
    files=("IJBB/loose_crop", "IJBB/meta/ijbb_template_pair_label.txt"),
    **IJBB,
)
