"""FER+: eight expressions by majority of ten votes, the faces without one left out. No class balancing."""

from paco_fr.contracts import CropContract
from tasks.task import Task

TASK = Task(
    name="expression/ferplus",
    version=1,
    kind="classification",
    reader="tasks.readers.expression.ferplus:read_majority",
    crop=CropContract("whole", canvas=48),
    main_metric="accuracy",
    options={"label": "expression", "expected": {"total": 35_710}},
    licence="Labels: MIT (Microsoft); pictures: those of FER2013, research only",
    obtain="Clone github.com/microsoft/FERPlus, generate its images, and name the data folder <data root>/ferplus.",
    citation="Barsoum et al. 2016, arXiv 1608.01041; votes of label.csv, which Microsoft's training code reads",
    files=(
        "ferplus/FER2013Train/label.csv",
        "ferplus/FER2013Valid/label.csv",
        "ferplus/FER2013Test/label.csv",
    ),
    tags=("real",),
    tried_on="real data",
)
