"""AgeDB-30: six thousand pairs thirty years apart, from one .bin file."""

from paco_fr.contracts import CROPS
from tasks.readers.sources import BINS
from tasks.task import FromData, Task

SET = {"name": "agedb_30"}

TASK = Task(
    name="recognition/agedb_30",
    version=1,
    kind="verification",
    reader="tasks.readers.bins:read_pictures",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="accuracy_10fold",
    options={"pairs": "list", "pair_list": FromData("tasks.readers.bins:read_pairs", SET)},
    files=("verification/agedb_30.bin",),
    licence="research only",
    citation="Moschoglou et al. 2017, AgeDB: the first manually collected, in-the-wild age database, CVPRW",
    tags=("real",),
    **BINS,
)
