"""dlib's face recogniser (Davis King): 128 numbers of a face cut by dlib's own chip, from ``pip install 'paco-eval[dlib]'``.

The network is ``dlib_face_recognition_resnet_model_v1`` of the package ``face_recognition_models``, in the public domain.
Its author reports 99.38 % on LFW with 100 jittered copies of a face, 99.13 % without (dlib's ``face_recognition.py``);
nothing is jittered here. The chip is cut by five points with the similarity that lies nearest to dlib's mean face, where
dlib's own takes 33 of 68 points, or 5 of 5; features differ by a cosine of 0.998.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paco_eval.encoders._contract_check import check_contract
from paco_eval.encoders._function import FunctionEncoder
from paco_fr.contracts import CROPS, PixelContract
from paco_fr.faces.detector import dlib_library, dlib_model
from paco_fr.utils.errors import PacoError, one_line

MODEL = "dlib_face_recognition_resnet_model_v1.dat"
PIXELS = PixelContract(
    150, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), value_range=(0.0, 255.0), interpolation="bilinear"
)
PARAMETERS = 5_614_592
"""Of its 29 convolutions, their scales and the last layer, by the architecture in dlib's ``dnn_face_recognition_ex.cpp``."""


def load(name: str) -> FunctionEncoder:
    """Return ``dlib``.

    Raises:
        PacoError: something is written behind the name, or dlib or its models are not here.

    """
    if name != "dlib":
        raise PacoError(f"{name}: dlib has one recogniser, write dlib alone.")
    library, path = dlib_library(), Path(dlib_model(MODEL))
    try:
        network = library.face_recognition_model_v1(str(path))
    except RuntimeError as error:
        raise PacoError(f"{path} cannot be read by dlib ({one_line(error)}). Install it again.") from error

    def function(images: Tensor) -> Tensor:
        """Return the descriptors (B, 128) of chips (B, 3, 150, 150), RGB 0 to 255."""
        chips = images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        found = network.compute_face_descriptor([np.ascontiguousarray(chip) for chip in chips])
        return torch.from_numpy(np.array([np.asarray(one) for one in found], np.float32))

    return FunctionEncoder(
        name,
        function,
        PIXELS,
        weight_hash=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        parameters=PARAMETERS,
        required_crop=CROPS["dlib"],
        facts={
            "objective": "metric learning on people",
            "pixels_checked": check_contract(name, PIXELS),
            "input": f"uint8 NHWC 150 x 150, dlib {library.__version__}",
        },
    )
