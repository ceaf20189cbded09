"""Verification of synthetic identities that no training part has seen."""

from paco_fr.contracts import CROPS
from tasks.readers.synthetic.drawn import BENCHMARK, LICENCE, OBTAIN
from tasks.task import Task

TASK = Task(
    name="recognition/synthetic",
    version=2,
    kind="verification",
    reader="tasks.readers.synthetic.drawn:read_faces",
    reader_options=BENCHMARK,
    crop=CROPS["arcface"],
    main_metric="tar@far=1e-2",
    options={"pairs": "sampled", "impostors": 20_000},
    licence=LICENCE,
    obtain=OBTAIN,
    data_kind="synthetic",
    tags=("synthetic",),
    tried_on="synthetic",
)
