"""CPLFW: six thousand pairs of LFW people at different poses, from one .bin file."""

from paco_fr.contracts import CROPS
from tasks.readers.sources import BINS
from tasks.task import FromData, Task

SET = {"name": "cplfw"}

TASK = Task(
    name="recognition/cplfw",
    version=1,
    kind="verification",
    reader="tasks.readers.bins:read_pictures",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="accuracy_10fold",
    options={"pairs": "list", "pair_list": FromData("tasks.readers.bins:read_pairs", SET)},
    files=("verification/cplfw.bin",),
    licence="research only; pictures from the web",
    citation="Zheng & Deng 2018, Cross-Pose LFW, BUPT technical report 18-01",
    tags=("real", "pose"),
    **BINS,
)
