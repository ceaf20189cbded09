"""Seven expressions of synthetic faces, on the hard level."""

from paco_fr.contracts import BASIC_EXPRESSIONS
from tasks.readers.synthetic.drawn import HARD, LICENCE, LOOSER_BOX, OBTAIN
from tasks.task import Task

TASK = Task(
    name="expression/synthetic_hard",
    version=1,
    kind="classification",
    reader="tasks.readers.synthetic.drawn:read_faces",
    reader_options=HARD,
    crop=LOOSER_BOX,
    main_metric="accuracy",
    options={"label": "expression", "classes": BASIC_EXPRESSIONS},
    licence=LICENCE,
    obtain=OBTAIN,
    data_kind="synthetic",
    tags=("synthetic",),
    tried_on="synthetic",
)
