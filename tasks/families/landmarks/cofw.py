"""COFW: 29 points of faces that are often covered, by the outer eye corners; visible and hidden ones apart."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import RESEARCH
from tasks.readers.declared import of_box, pipnet
from tasks.task import Task

TASK = Task(
    name="landmarks/cofw",
    version=2,
    kind="landmarks",
    reader="tasks.readers.landmarks.cofw:read_cofw",
    reader_options={"box": "whole points"},
    crop=CropContract("box", margin=0.125, canvas=224),
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
    cut="HRNet's, of all points",
    variants={
        "pipnet": pipnet("pipnet", "of the supplied box"),
        "box": of_box("supplied", "the supplied box"),
    },
)
