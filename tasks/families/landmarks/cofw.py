"""COFW: 29 points of faces that are often covered, by the outer eye corners; visible and hidden ones apart."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import RESEARCH
from tasks.task import Task

TASK = Task(
    name="landmarks/cofw",
    version=1,
    kind="landmarks",
    reader="tasks.readers.landmarks.cofw:read_cofw",
    crop=CropContract("box", margin=0.25, canvas=224),
    main_metric="nme_interocular",
    options={
        "normaliser": "outer_corners",
        "corners": (8, 9),
        "threshold": 10,
        "visibility": True,
        "expected": {"train": 1_345, "test": 507},
    },
    licence=RESEARCH,
    obtain="Download the two colour files from data.caltech.edu/records/20099 into <data root>/COFW.",
    citation="Burgos-Artizzu et al. 2013, Robust face landmark estimation under occlusion, ICCV",
    files=("COFW/COFW_train_color.mat", "COFW/COFW_test_color.mat"),
    tags=("real", "occlusion"),
)
