"""IJB-C 1:N, mixed media: every probe template against both galleries; rank 1 and 5, TPIR at FPIR."""

from paco_fr.contracts import CROPS
from tasks.readers.dataset_info import IJBC, IJBC_COUNTS
from tasks.task import FromData, Task

SET = {"name": "ijbc"}

TASK = Task(
    name="recognition/ijbc_search",
    version=3,
    kind="identification",
    reader="tasks.readers.recognition.ijb:read_faces",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="rank1",
    options={
        "search_list": FromData("tasks.readers.recognition.ijb:read_search", SET),
        "expected": IJBC_COUNTS,
    },
    files=("IJBC/loose_crop", "IJBC/meta/ijbc_1N_probe_mixed.csv"),
    **IJBC,
)
