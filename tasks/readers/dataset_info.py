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
OBTAIN_CUT = "Cut BIWI with FSA-Net's data/TYY_create_db_biwi.py into <data root>/BIWI/BIWI_noTrack.npz."
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
AFFECTNET_FIRST: dict[str, Any] = AFFECTNET | {
    "obtain": "Ask mohammadmahoor.com/affectnet for the first release and unpack Manually_Annotated_Images and "
    "Manually_Annotated_file_lists into <data root>/AffectNet.",
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

SCORED_WHOLE: dict[str, Any] = {
    "split": "test_only",
    "choice_from": "recognition/synthetic",
    "flip": "sum",
    "reductions": ("global", "mean", "grid4"),
}
"""How recognition sets without an official train part are measured."""


VERIFICATION_PAIRS = {
    **{"lfw": 6000, "cfp_fp": 7000, "cfp_ff": 7000, "agedb_30": 6000, "calfw": 6000, "cplfw": 6000},
    **{"mlfw": 6000, "lfw_m": 6000},
}
"""Pairs of each set, half of them of one person; the last two have the pairs of CALFW and LFW, masked."""


MASKED_BINS = (
    "Pack the masked pictures, aligned to 112 x 112, with the pairs of LFW (lfw_m.bin) or MLFW (mlfw.bin) in the format "
    "of insightface's .bin files and put the file into <data root>/verification."
)

_IJB: dict[str, Any] = {
    "licence": "NIST, research only; withdrawn in March 2023",
    **SCORED_WHOLE,
    "tags": ("real", "withdrawn"),
}

IJBB_COUNTS = {"total": 227_630, "templates": 12_115}
IJBC_COUNTS = {"total": 469_375, "templates": 23_124}
"""Pictures and templates of both sets."""

IJBB: dict[str, Any] = {
    **_IJB,
    "obtain": "Withdrawn. A copy goes to <data root>/IJBB/loose_crop and IJBB/meta (tasks/readers/recognition/ijb.py).",
    "citation": "Whitelam et al. 2017, IARPA Janus Benchmark-B Face Dataset, CVPRW",
}

IJBC: dict[str, Any] = {
    **_IJB,
    "obtain": "Withdrawn. A copy goes to <data root>/IJBC/loose_crop and IJBC/meta (tasks/readers/recognition/ijb.py).",
    "citation": "Maze et al. 2018, IARPA Janus Benchmark - C: Face Dataset and Protocol, ICB",
}

ORL: dict[str, Any] = {
    "licence": "free with credit to Olivetti Research Laboratory",
    "obtain": "Download the ORL (AT&T) Database of Faces into <data root>/orl_faces.",
    "citation": "Samaria & Harter 1994, Parameterisation of a stochastic model for face identification",
}

MFR2: dict[str, Any] = {
    "licence": "research only; pictures from the web",
    "obtain": "Download MFR2 (github.com/aqeelanwar/MaskTheFace) into <data root>/mfr2: folders of people and pairs.txt.",
    "citation": "Anwar & Raychowdhury 2020, Masked Face Recognition for Secure Authentication, arXiv 2008.11104",
    **SCORED_WHOLE,
}

YALE: dict[str, Any] = {
    "licence": "free for research with credit to the Yale Face Database B",
    "obtain": "Download the cropped Extended Yale B (CroppedYale) into <data root>/CroppedYale: yaleB01 to yaleB39.",
    "citation": "Georghiades et al. 2001, From Few to Many; Lee et al. 2005, Acquiring Linear Subspaces (both IEEE TPAMI)",
}

MULTIPIE: dict[str, Any] = {
    "licence": "sold by CMU for research; not redistributable",
    "obtain": "Buy Multi-PIE from CMU and unpack it to <data root>/Multi-PIE (with data/session01).",
    "citation": "Gross et al. 2010, Multi-PIE, Image and Vision Computing 28(5)",
}


CHALLENGE_FOLDER = "Challenge-condition-FER-dataset"
CHALLENGE_LISTS = (
    f"Clone github.com/kaiwang960112/{CHALLENGE_FOLDER} into <data root>: lists of occluded and turned faces."
)


CHALLENGE_FILES = {
    "rafdb": ("RAF_DB_dir/rafdb_occlusion_list.txt", "RAF_DB_dir/val_raf_db_list.txt", "RAF_DB_dir/val_raf_db_list_45.txt"),
    "ferplus": ("FERplus_dir/jianfei_occlusion_list.txt", "FERplus_dir/pose_30_ferplus_list.txt",
                "FERplus_dir/pose_45_ferplus_list.txt"),
    "affectnet": ("AffectNet_dir/occlusion_affectnet_list.txt", "AffectNet_dir/pose_30_affectnet_list.txt",
                  "AffectNet_dir/pose_45_affectnet_list.txt"),
}  # fmt: skip
"""Set -> its lists of occluded faces, of faces beyond 30 and of faces beyond 45 degrees."""


LAPA: dict[str, Any] = {
    "licence": RESEARCH,
    "obtain": "Download LaPa (github.com/jd-opensource/lapa-dataset) into <data root>/LaPa: train, val and test.",
    "citation": "Liu et al. 2020, A New Dataset and Boundary-Attention Semantic Segmentation for Face Parsing, AAAI",
}
LAPA_CLASSES = ("background", "skin", "left eyebrow", "right eyebrow", "left eye", "right eye", "nose", "upper lip",
                "inner mouth", "lower lip", "hair")  # fmt: skip

CELEBAMASK: dict[str, Any] = {
    "licence": RESEARCH,
    "obtain": "Download CelebAMask-HQ (github.com/switchablenorms/CelebAMask-HQ) into <data root>/CelebAMask-HQ and put "
    "CelebA's list_eval_partition.txt beside CelebA-HQ-to-CelebA-mapping.txt.",
    "citation": "Lee et al. 2020, MaskGAN: Towards Diverse and Interactive Facial Image Manipulation, CVPR",
}
CELEBAMASK_CLASSES = ("background", "neck", "skin", "cloth", "l_ear", "r_ear", "l_brow", "r_brow", "l_eye", "r_eye", "nose",
                      "mouth", "l_lip", "u_lip", "hair", "eye_g", "hat", "ear_r", "neck_l")  # fmt: skip
"""Order of painting: "neck" first, jewellery last."""
