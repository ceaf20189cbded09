"""AFLW-19: 19 points, hidden ones included, by the supplied box; full and frontal test set."""

from paco_fr.contracts import CropContract
from tasks.readers.dataset_info import RESEARCH
from tasks.readers.declared import of_box, pipnet
from tasks.task import Task

TASK = Task(
    name="landmarks/aflw19",
    version=2,
    kind="landmarks",
    reader="tasks.readers.landmarks.aflw19:read_aflw19",
    crop=CropContract("stretched", canvas=224),
    main_metric="nme_diag",
    options={
        "normaliser": "supplied_box",
        "threshold": 7,
        "farl_grid": True,
        "expected": {"train": 20_000, "test": 4_386, "frontal": 1_314},
    },
    licence=RESEARCH,
    obtain="Ask tugraz.at for AFLW's images (into <data root>/AFLW19/data/flickr) and add AFLWinfo_release.mat of "
    "mmlab.ie.cuhk.edu.hk/projects/compositional.html.",
    citation="Koestinger et al. 2011 and Zhu et al. 2016 (compositional learning); parts as in FaRL (arXiv 2112.03109)",
    subsets=("frontal",),
    files=("AFLW19/AFLWinfo_release.mat", "AFLW19/data/flickr"),
    tags=("real", "pose"),
    cut="FaRL's, of the supplied box",
    variants={
        "pipnet": pipnet(
            "pipnet",
            "of the supplied box",
            main_metric="nme_crop",
            options={"normaliser": "crop", "farl_grid": False},
        ),
        "square": of_box("supplied", "the supplied box"),
    },
)
