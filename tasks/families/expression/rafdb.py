"""RAF-DB basic: seven expressions of aligned faces, fitted without class balancing."""

from paco_fr.contracts import BASIC_EXPRESSIONS, CROPS
from tasks.readers.dataset_info import RESEARCH
from tasks.task import Task

TASK = Task(
    name="expression/rafdb",
    version=2,
    kind="classification",
    reader="tasks.readers.expression.rafdb:read_rafdb",
    crop=CROPS["whole"],
    main_metric="accuracy",
    options={
        "label": "expression",
        "classes": BASIC_EXPRESSIONS,
        "expected": {"train": 12_271, "test": 3_068},
    },
    licence=RESEARCH,
    obtain="Ask whdeng.cn/RAF for RAF-DB and unpack its basic folder to <data root>/RAF-DB/basic.",
    citation="Li et al. 2017, Reliable Crowdsourcing and Deep Locality-Preserving Learning, CVPR",
    files=("RAF-DB/basic/EmoLabel/list_patition_label.txt", "RAF-DB/basic/Image/aligned"),
    tags=("real",),
)
