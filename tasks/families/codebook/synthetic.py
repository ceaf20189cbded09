"""Health of a patch codebook on synthetic faces, aligned as most of pretraining was; for encoders that have one."""

from paco_fr.contracts import CROPS
from tasks.readers.synthetic.drawn import BENCHMARK, LICENCE, OBTAIN
from tasks.task import Task

TASK = Task(
    name="codebook/synthetic",
    version=1,
    kind="codebook",
    reader="tasks.readers.synthetic.drawn:read_faces",
    reader_options=BENCHMARK,
    crop=CROPS["arcface"],
    main_metric="belief_accuracy",
    licence=LICENCE,
    obtain=OBTAIN,
    data_kind="synthetic",
    tags=("synthetic", "codebook"),
    tried_on="synthetic",
)
