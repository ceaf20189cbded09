"""AgeDB-30: six thousand pairs thirty years apart, from one .bin file."""

from tasks.readers.declared import verification_bin
from tasks.task import Task

TASK = Task(
    name="recognition/agedb_30",
    version=3,
    licence="research only",
    citation="Moschoglou et al. 2017, AgeDB: the first manually collected, in-the-wild age database, CVPRW",
    tags=("real",),
    **verification_bin("agedb_30"),
)
