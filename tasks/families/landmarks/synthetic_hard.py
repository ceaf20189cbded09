"""68 points of synthetic faces on a loose crop; visible and hidden ones apart; on the hard level."""

from tasks.readers.synthetic.drawn import HARD, LICENCE, LOOSER_BOX, OBTAIN
from tasks.task import Task

TASK = Task(
    name="landmarks/synthetic_hard",
    version=1,
    kind="landmarks",
    reader="tasks.readers.synthetic.drawn:read_faces",
    reader_options=HARD,
    crop=LOOSER_BOX,
    main_metric="nme_box",
    options={"normaliser": "box", "corners": (36, 45), "frontal": 30, "threshold": 7, "visibility": True},
    licence=LICENCE,
    obtain=OBTAIN,
    data_kind="synthetic",
    tags=("synthetic",),
    tried_on="synthetic",
)
