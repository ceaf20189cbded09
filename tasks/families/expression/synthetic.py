"""Seven expressions of synthetic faces."""

from tasks.readers.synthetic.drawn import BENCHMARK, LICENCE, LOOSE_BOX, OBTAIN
from tasks.task import Task

TASK = Task(
    name="expression/synthetic",
    version=2,
    kind="classification",
    reader="tasks.readers.synthetic.drawn:read_faces",
    reader_options=BENCHMARK,
    crop=LOOSE_BOX,
    main_metric="accuracy",
    options={"label": "expression"},
    licence=LICENCE,
    obtain=OBTAIN,
    data_kind="synthetic",
    tags=("synthetic",),
    tried_on="synthetic",
)
