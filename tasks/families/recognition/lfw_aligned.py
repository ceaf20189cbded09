"""LFW: six thousand pairs of Labeled Faces in the Wild, aligned, from one .bin file."""

from tasks.readers.declared import verification_bin
from tasks.task import Task

TASK = Task(
    name="recognition/lfw_aligned",
    version=3,
    licence="research only; pictures from the web",
    citation="Huang et al. 2007, Labeled Faces in the Wild, UMass Amherst TR 07-49",
    tags=("real",),
    **verification_bin("lfw"),
)
