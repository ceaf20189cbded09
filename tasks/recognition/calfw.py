"""CALFW: six thousand pairs of LFW people at different ages, from one .bin file."""

from paco_fr.contracts import CROPS
from tasks.readers.sources import BINS
from tasks.task import FromData, Task

SET = {"name": "calfw"}

TASK = Task(
    name="recognition/calfw",
    version=1,
    kind="verification",
    reader="tasks.readers.bins:read_pictures",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="accuracy_10fold",
    options={"pairs": "list", "pair_list": FromData("tasks.readers.bins:read_pairs", SET)},
    files=("verification/calfw.bin",),
    licence="research only; pictures from the web",
    citation="Zheng et al. 2017, Cross-Age LFW, arXiv 1708.08197",
    tags=("real",),
    **BINS,
)
