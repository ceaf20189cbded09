"""CFP-FP: seven thousand frontal against profile pairs, from one .bin file."""

from tasks.readers.declared import verification_bin
from tasks.task import Task

TASK = Task(
    name="recognition/cfp_fp",
    version=3,
    licence="research only",
    citation="Sengupta et al. 2016, Frontal to Profile Face Verification in the Wild, WACV",
    tags=("real", "pose"),
    **verification_bin("cfp_fp"),
)
