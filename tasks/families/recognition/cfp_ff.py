"""CFP-FF: seven thousand frontal against frontal pairs, from one .bin file."""

from tasks.readers.declared import verification_bin
from tasks.task import Task

TASK = Task(
    name="recognition/cfp_ff",
    version=3,
    licence="research only",
    citation="Sengupta et al. 2016, Frontal to Profile Face Verification in the Wild, WACV",
    tags=("real",),
    **verification_bin("cfp_ff"),
)
