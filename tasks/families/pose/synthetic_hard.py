"""Head pose of synthetic faces: the truth is a rotation matrix; on the hard level."""

from tasks.readers.synthetic.drawn import HARD, LICENCE, LOOSER_BOX, OBTAIN
from tasks.task import Task

TASK = Task(
    name="pose/synthetic_hard",
    version=1,
    kind="pose",
    reader="tasks.readers.synthetic.drawn:read_faces",
    reader_options=HARD,
    crop=LOOSER_BOX,
    main_metric="mae",
    licence=LICENCE,
    obtain=OBTAIN,
    data_kind="synthetic",
    tags=("synthetic", "pose"),
    tried_on="synthetic",
)
