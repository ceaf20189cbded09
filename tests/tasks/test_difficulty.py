"""What surrounds a synthetic face tells neither who it is nor what it expresses.

Hair, clothes and background change from picture to picture of a person, and the camera frames the face at
rest. A linear model of the outer 4 pixels of the photographs, at 64 pixels, has to stay at chance.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score

from paco_fr.synthetic import FaceSpec, face_parameters, render

SIDE, WIDTH, IMAGES = 64, 4, 4
TRAIN = 90
SPEC = FaceSpec(identities=170, images_per_identity=IMAGES, seed=11)


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, pd.DataFrame]:
    """Borders (n, 2880) and labels of photographs."""
    border = np.ones((SIDE, SIDE), dtype=bool)
    border[WIDTH:-WIDTH, WIDTH:-WIDTH] = False
    pixels, labels = [], []
    for index in range(len(SPEC)):
        face = face_parameters(SPEC, index)
        pixels.append(render(face, SIDE).image[border].ravel() / 255)
        labels.append((index // IMAGES, face.expression))
    return np.stack(pixels), pd.DataFrame(labels, columns=["identity", "expression"])


def test_border_does_not_tell_the_person(faces: tuple[np.ndarray, pd.DataFrame]) -> None:
    pixels, labels = faces
    who = labels["identity"].to_numpy()
    train = who < TRAIN
    features = RidgeClassifier(alpha=10.0).fit(pixels[train], who[train]).decision_function(pixels[~train])
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    first, second = np.triu_indices(len(features), 1)
    genuine = who[~train][first] == who[~train][second]
    assert 0.45 < roc_auc_score(genuine, (features @ features.T)[first, second]) < 0.55


def test_border_does_not_tell_the_expression(faces: tuple[np.ndarray, pd.DataFrame]) -> None:
    pixels, labels = faces
    train = labels["identity"].to_numpy() < TRAIN
    model = RidgeClassifier(alpha=10.0).fit(pixels[train], labels["expression"][train])
    accuracy = model.score(pixels[~train], labels["expression"][~train])
    chance, scored = 1 / labels["expression"].nunique(), int((~train).sum())
    assert abs(accuracy - chance) < 3 * np.sqrt(chance * (1 - chance) / scored)
