"""CFP-FF: seven thousand frontal against frontal pairs, from one .bin file."""

from paco_fr.contracts import CROPS
from tasks.readers.sources import BINS
from tasks.task import FromData, Task

SET = {"name": "cfp_ff"}

TASK = Task(
    name="recognition/cfp_ff",
    version=1,
    kind="verification",
    reader="tasks.readers.bins:read_pictures",
    reader_options=SET,
    crop=CROPS["arcface"],
    main_metric="accuracy_10fold",
    options={"pairs": "list", "pair_list": FromData("tasks.readers.bins:read_pairs", SET)},
    files=("verification/cfp_ff.bin",),
    licence="research only",
    citation="Sengupta et al. 2016, Frontal to Profile Face Verification in the Wild, WACV",
    tags=("real",),
    **BINS,
)
