"""Where real data comes from and under which terms, for declarations that share a data set."""

from typing import Any

LONDON: dict[str, Any] = {
    "licence": "CC BY 4.0",
    "obtain": "Download the Face Research Lab London Set (doi 10.6084/m9.figshare.5047666) into <data root>/london_set.",
    "citation": "DeBruine & Jones 2017, Face Research Lab London Set, doi 10.6084/m9.figshare.5047666.v5",
}

RESEARCH = "Non-commercial research only, by the terms of its authors; not redistributable."

PTS_300W: dict[str, Any] = {
    "licence": RESEARCH,
    "obtain": "Download afw, helen, lfpw and ibug from ibug.doc.ic.ac.uk/resources/facial-point-annotations into "
    "<data root>/300W, with helen/{trainset,testset} and lfpw/{trainset,testset}.",
    "citation": "Sagonas et al. 2013, 300 Faces in-the-Wild Challenge; splits as in FaRL (arXiv 2112.03109)",
}
LP_300W = "Download 300W-LP (Zhu et al. 2016) into <data root>/300W_LP"
AFLW2000: dict[str, Any] = {
    "licence": RESEARCH,
    "obtain": f"{LP_300W} and AFLW2000-3D into <data root>/AFLW2000.",
    "citation": "Zhu et al. 2016, arXiv 1511.07212; protocol 1 of Yang et al. 2019 (FSA-Net)",
}
BIWI: dict[str, Any] = {
    "licence": RESEARCH,
    "obtain": "Download the Biwi Kinect Head Pose Database into <data root>/BIWI (folders 01 to 24)",
    "citation": "Fanelli et al. 2013, doi 10.1007/s11263-012-0549-0; protocols 1 and 2 of Yang et al. 2019 (FSA-Net)",
}
AFFECTNET: dict[str, Any] = {
    "licence": RESEARCH,
    "obtain": "Ask mohammadmahoor.com/affectnet for AffectNet and unpack train_set and val_set into <data root>/AffectNet.",
    "citation": "Mollahosseini et al. 2019, doi 10.1109/TAFFC.2017.2740923",
}
CELEBA: dict[str, Any] = {
    "licence": RESEARCH,
    "obtain": "Download CelebA (mmlab.ie.cuhk.edu.hk/projects/CelebA.html) into <data root>/CelebA: Anno, Eval, Img.",
    "citation": "Liu et al. 2015, arXiv 1411.7766",
}
CELEBA_ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip
"""Names as in the header of ``list_attr_celeba.txt``, in its order."""

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
