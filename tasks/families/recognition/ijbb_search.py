"""IJB-B 1:N, mixed media: every probe template against both galleries; rank 1 and 5, TPIR at FPIR."""

from paco_fr.contracts import CROPS
from tasks.readers.dataset_info import IJBB, IJBB_COUNTS
from tasks.task import FromData, Task

SET = {"name": "ijbb"}

TASK = Task(
    name="recognition/ijbb_search",
    version=3,
    kind="identification",
    reader="tasks.readers.recognition.ijb:read_faces",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="rank1",
    options={
        "search_list": FromData("tasks.readers.recognition.ijb:read_search", SET),
        "expected": IJBB_COUNTS,
    },
    files=("IJBB/loose_crop", "IJBB/meta/ijbb_1N_probe_mixed.csv"),
    **IJBB,
)
