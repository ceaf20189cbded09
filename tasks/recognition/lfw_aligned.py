"""LFW: six thousand pairs of Labeled Faces in the Wild, aligned, from one .bin file."""

from paco_fr.contracts import CROPS
from tasks.readers.sources import BINS
from tasks.task import FromData, Task

SET = {"name": "lfw"}

TASK = Task(
    name="recognition/lfw_aligned",
    version=1,
    kind="verification",
    reader="tasks.readers.bins:read_pictures",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="accuracy_10fold",
    options={"pairs": "list", "pair_list": FromData("tasks.readers.bins:read_pairs", SET)},
    files=("verification/lfw.bin",),
    licence="research only; pictures from the web",
    citation="Huang et al. 2007, Labeled Faces in the Wild, UMass Amherst TR 07-49",
    tags=("real",),
    **BINS,
)
