"""Head pose of synthetic faces: the truth is a rotation matrix."""

from tasks.readers.synthetic.drawn import BENCHMARK, LICENCE, LOOSE_BOX, OBTAIN
from tasks.task import Task

TASK = Task(
    name="pose/synthetic",
    version=2,
    kind="pose",
    reader="tasks.readers.synthetic.drawn:read_faces",
    reader_options=BENCHMARK,
    crop=LOOSE_BOX,
    main_metric="mae",
    licence=LICENCE,
    obtain=OBTAIN,
    data_kind="synthetic",
    tags=("synthetic", "pose"),
    tried_on="synthetic",
)
