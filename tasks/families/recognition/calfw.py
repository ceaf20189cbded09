"""CALFW: six thousand pairs of LFW people at different ages, from one .bin file."""

from tasks.readers.declared import verification_bin
from tasks.task import Task

TASK = Task(
    name="recognition/calfw",
    version=3,
    licence="research only; pictures from the web",
    citation="Zheng et al. 2017, Cross-Age LFW, arXiv 1708.08197",
    tags=("real",),
    **verification_bin("calfw"),
)
