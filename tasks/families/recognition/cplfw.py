"""CPLFW: six thousand pairs of LFW people at different poses, from one .bin file."""

from tasks.readers.declared import verification_bin
from tasks.task import Task

TASK = Task(
    name="recognition/cplfw",
    version=3,
    licence="research only; pictures from the web",
    citation="Zheng & Deng 2018, Cross-Pose LFW, BUPT technical report 18-01",
    tags=("real", "pose"),
    **verification_bin("cplfw"),
)
