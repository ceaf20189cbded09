"""AffectNet's first release, eight expressions, with RAN's subsets: occluded faces, and faces turned beyond 30 and 45 degrees."""

from paco_fr.contracts import EXPRESSIONS, CropContract
from tasks.readers.dataset_info import AFFECTNET_FIRST, CHALLENGE_LISTS
from tasks.readers.declared import challenge
from tasks.task import Task

TASK = Task(
    name="expression/affectnet_challenge",
    version=1,
    crop=CropContract("box", canvas=224),
    **AFFECTNET_FIRST | {"obtain": f"{AFFECTNET_FIRST['obtain']} {CHALLENGE_LISTS}"},
    **challenge(
        "affectnet",
        (
            "AffectNet/Manually_Annotated_file_lists/training.csv",
            "AffectNet/Manually_Annotated_file_lists/validation.csv",
            "AffectNet/Manually_Annotated_Images",
        ),
        EXPRESSIONS,
        {"train": 287_651, "test": 4_000, "occlusion": 683, "pose30": 1_944, "pose45": 983},
    ),
)
