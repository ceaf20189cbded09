"""FER+ by majority with RAN's subsets of its test part: occluded faces, and faces turned beyond 30 and 45 degrees."""

from paco_fr.contracts import EXPRESSIONS, CropContract
from tasks.readers.dataset_info import CHALLENGE_LISTS
from tasks.readers.declared import challenge
from tasks.task import Task

TASK = Task(
    name="expression/ferplus_challenge",
    version=1,
    crop=CropContract("whole", canvas=48),
    licence="Labels: MIT (Microsoft); pictures: those of FER2013, research only",
    obtain="Clone github.com/microsoft/FERPlus, generate its images, and name the data folder <data root>/ferplus. "
    + CHALLENGE_LISTS,
    citation="Barsoum et al. 2016, arXiv 1608.01041; lists of Wang et al. 2020, Region Attention Networks, arXiv 1905.04075",
    **challenge(
        "ferplus",
        tuple(f"ferplus/FER2013{part}/label.csv" for part in ("Train", "Valid", "Test")),
        EXPRESSIONS,
        {"total": 35_710},
    ),
)
