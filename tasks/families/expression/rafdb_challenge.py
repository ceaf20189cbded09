"""RAF-DB basic with RAN's subsets of its test part: occluded faces, and faces turned beyond 30 and 45 degrees."""

from paco_fr.contracts import BASIC_EXPRESSIONS, CROPS
from tasks.readers.dataset_info import CHALLENGE_LISTS, RESEARCH
from tasks.readers.declared import challenge
from tasks.task import Task

TASK = Task(
    name="expression/rafdb_challenge",
    version=2,
    crop=CROPS["whole"],
    licence=RESEARCH,
    obtain=f"Ask whdeng.cn/RAF for RAF-DB and unpack its basic folder to <data root>/RAF-DB/basic. {CHALLENGE_LISTS}",
    citation="Li et al. 2017, CVPR; lists of Wang et al. 2020, Region Attention Networks, arXiv 1905.04075",
    **challenge(
        "rafdb",
        ("RAF-DB/basic/EmoLabel/list_patition_label.txt", "RAF-DB/basic/Image/aligned"),
        BASIC_EXPRESSIONS,
        {"train": 12_271, "test": 3_068, "occlusion": 734, "pose30": 1_247, "pose45": 558},
    ),
)
