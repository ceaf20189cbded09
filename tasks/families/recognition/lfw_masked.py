"""LFW-M: LFW's six thousand pairs with masks drawn onto the faces by MaskTheFace, from one .bin file."""

from tasks.readers.dataset_info import MASKED_BINS
from tasks.readers.declared import verification_bin
from tasks.task import Task

TASK = Task(
    name="recognition/lfw_masked",
    version=3,
    licence="research only; pictures from the web",
    citation="Anwar & Raychowdhury 2020, Masked Face Recognition for Secure Authentication, arXiv 2008.11104",
    tags=("real", "occlusion"),
    **verification_bin("lfw_m") | {"obtain": MASKED_BINS},
)
