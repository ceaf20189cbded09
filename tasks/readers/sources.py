"""Where real data comes from and under which terms, for declarations that share a data set."""

from typing import Any

LONDON: dict[str, Any] = {
    "licence": "CC BY 4.0",
    "obtain": "Download the Face Research Lab London Set (doi 10.6084/m9.figshare.5047666) into <data root>/london_set.",
    "citation": "DeBruine & Jones 2017, Face Research Lab London Set, doi 10.6084/m9.figshare.5047666.v5",
}

LFW: dict[str, Any] = {
    "licence": "research only; pictures from the web",
    "obtain": "Download LFW into <data root>/lfw: the folders of people, and pairs.txt beside them.",
    "citation": "Huang et al. 2007, Labeled Faces in the Wild, UMass Amherst TR 07-49",
}

BINS: dict[str, Any] = {
    "obtain": "Put the .bin file of insightface's training packs into <data root>/verification.",
    "split": "test_only",
    "choice_from": "recognition/synthetic",
    "flip": "sum",
    "reductions": ("global", "mean", "grid4"),
}
"""What the verification sets in .bin files share; pairs have no official train part."""

_IJB: dict[str, Any] = {
    "licence": "NIST, research only; withdrawn in March 2023",
    "split": "test_only",
    "choice_from": "recognition/synthetic",
    "flip": "sum",
    "reductions": ("global", "mean", "grid4"),
    "tags": ("real", "withdrawn"),
}

IJBB: dict[str, Any] = {
    **_IJB,
    "obtain": "Withdrawn. A copy goes to <data root>/IJBB/loose_crop and IJBB/meta (tasks/readers/ijb.py).",
    "citation": "Whitelam et al. 2017, IARPA Janus Benchmark-B Face Dataset, CVPRW",
}

IJBC: dict[str, Any] = {
    **_IJB,
    "obtain": "Withdrawn. A copy goes to <data root>/IJBC/loose_crop and IJBC/meta (tasks/readers/ijb.py).",
    "citation": "Maze et al. 2018, IARPA Janus Benchmark - C: Face Dataset and Protocol, ICB",
}

ORL: dict[str, Any] = {
    "licence": "free with credit to Olivetti Research Laboratory",
    "obtain": "Download the ORL (AT&T) Database of Faces into <data root>/orl_faces.",
    "citation": "Samaria & Harter 1994, Parameterisation of a stochastic model for face identification",
}
