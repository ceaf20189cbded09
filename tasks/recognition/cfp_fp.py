"""CFP-FP: seven thousand frontal against profile pairs, from one .bin file."""

from paco_fr.contracts import CROPS
from tasks.readers.sources import BINS
from tasks.task import FromData, Task

SET = {"name": "cfp_fp"}

TASK = Task(
    name="recognition/cfp_fp",
    version=1,
    kind="verification",
    reader="tasks.readers.bins:read_pictures",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="accuracy_10fold",
    options={"pairs": "list", "pair_list": FromData("tasks.readers.bins:read_pairs", SET)},
    files=("verification/cfp_fp.bin",),
    licence="research only",
    citation="Sengupta et al. 2016, Frontal to Profile Face Verification in the Wild, WACV",
    tags=("real", "pose"),
    **BINS,
)
