"""Seven expressions of synthetic faces."""

from paco_fr.contracts import BASIC_EXPRESSIONS
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
    options={"label": "expression", "classes": BASIC_EXPRESSIONS},
    licence=LICENCE,
    obtain=OBTAIN,
    data_kind="synthetic",
    tags=("synthetic",),
    tried_on="synthetic",
)
