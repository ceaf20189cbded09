"""MLFW: the six thousand pairs of CALFW with masks drawn onto the faces, from one .bin file."""

from tasks.readers.dataset_info import MASKED_BINS
from tasks.readers.declared import verification_bin
from tasks.task import Task

TASK = Task(
    name="recognition/mlfw",
    version=3,
    licence="research only; pictures from the web",
    citation="Wang et al. 2021, MLFW: A Database for Face Recognition on Masked Faces, arXiv 2109.05804",
    tags=("real", "occlusion"),
    **verification_bin("mlfw") | {"obtain": MASKED_BINS},
)
