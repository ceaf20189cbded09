"""Protocol 1: trained on 300W-LP, tested on all of BIWI; crop and filter as in tasks.readers.pose.head_pose."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import BIWI, LP_300W, OBTAIN_CUT
from tasks.task import Task

TRUTH = "a square of 180 mm around the true head, where the field has a detector's box"

TASK = Task(
    name="pose/biwi",
    version=3,
    kind="pose",
    reader="tasks.readers.pose.head_pose:read_protocol1",
    reader_options={"test": "biwi", "rule": "6drepnet"},
    crop=CropContract("box", canvas=224),
    main_metric="mae",
    options={"lenient": True, "aligned": True, "filter": 99, "expected": {"total": 138_128, "test": 15_678}},
    files=("300W_LP", "BIWI"),
    tags=("real", "pose"),
    cut=f"{TRUTH}; training as in 6DRepNet, k drawn of 0.2 to 0.4",
    variants={
        "mtcnn": {
            "reader_options": {"test": "biwi_cut"},
            # It does not say which pictures are of one sequence.
            "options": {"aligned": False, "expected": {"total": 138_117, "test": 15_667}},
            "files": ("300W_LP", "BIWI/BIWI_noTrack.npz"),
            "obtain": f"{LP_300W}. {OBTAIN_CUT}",
            "cut": "6DRepNet's, of FSA-Net's pictures by MTCNN, margin 0.4, centre 224 of 256; training k drawn of 0.2 to 0.4",
        },
        "landmarks": {
            "reader_options": {"rule": "landmarks"},
            "cut": f"{TRUTH}; training of all 68 points, nothing drawn",
        },
    },
    **BIWI | {"obtain": f"{BIWI['obtain']}. {LP_300W}."},
)
