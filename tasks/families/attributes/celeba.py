"""CelebA: 40 binary attributes, one linear head, decided at one half; the crop from the supplied five points."""

from paco_fr.contracts import CROPS
from tasks.readers.dataset_info import CELEBA, CELEBA_ATTRIBUTES
from tasks.task import Task

TASK = Task(
    name="attributes/celeba",
    version=1,
    kind="multilabel",
    reader="tasks.readers.attributes.celeba:read_celeba",
    crop=CROPS["farl"],
    main_metric="mean_accuracy",
    options={
        "classes": CELEBA_ATTRIBUTES,
        "expected": {"train": 162_770, "validation": 19_867, "test": 19_962},
    },
    files=(
        "CelebA/Anno/list_attr_celeba.txt",
        "CelebA/Anno/list_landmarks_align_celeba.txt",
        "CelebA/Eval/list_eval_partition.txt",
        "CelebA/Img/img_align_celeba",
    ),
    tags=("real",),
    **CELEBA,
)
