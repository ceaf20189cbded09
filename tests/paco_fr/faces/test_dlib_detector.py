"""What becomes of dlib's answers, with a stand-in; and dlib itself on photographs, where it is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from paco_fr.contracts import CROPS
from paco_fr.faces.crop import apply, crop_image, crop_transform
from paco_fr.faces.decode import read_image
from paco_fr.faces.detector import LARGEST_SIDE, detector_of
from paco_fr.faces.landmarks import five_points
from paco_fr.utils.errors import PacoError
from tests.fixtures import stand_in_dlib as stand_in

HERE = all(find_spec(name) is not None for name in ("dlib", "face_recognition_models"))


@pytest.fixture
def dlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.install(tmp_path / "site", monkeypatch)


def test_a_frontal_face_and_its_points(dlib: None) -> None:
    detector = detector_of("dlib")
    picture = stand_in.photo(30, 20, 60)
    (face,) = detector.faces(picture)
    assert face.box.tolist() == [30, 20, 89, 79] and np.isnan(face.landmarks).all()
    assert face.score == pytest.approx(1 / (1 + np.exp(-2) / 4))  # 0.8 at the detector's threshold
    found = detector.points(picture, face)
    expected = np.rint([30, 20] + stand_in.FIVE * 59)
    assert np.abs(five_points(found.landmarks, "ibug68") - expected).max() < 1e-9


def test_the_network_is_asked_where_no_frontal_face_is_seen(dlib: None) -> None:
    (face,) = detector_of("dlib").faces(stand_in.photo(30, 20, 15))
    assert face.box.tolist() == [30, 20, 44, 34] and face.score == pytest.approx(0.8)
    assert detector_of("dlib").faces(np.zeros((40, 40, 3), np.uint8)) == []


def test_large_photographs_are_shrunk_and_boxes_are_those_of_the_photograph(dlib: None) -> None:
    picture = np.full((2 * LARGEST_SIDE, 40, 3), 40, np.uint8)
    picture[400:800] = 200
    (face,) = detector_of("dlib").faces(picture)
    assert face.box[1] == pytest.approx(400, abs=2) and face.box[3] == pytest.approx(800, abs=3)


def test_what_is_not_installed_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(PacoError, match=r"dlib cannot be imported .*: pip install 'paco-eval\[dlib\]'"):
        detector_of("dlib")
    stand_in.install(tmp_path / "site", monkeypatch)
    (tmp_path / "site/face_recognition_models/models/mmod_human_face_detector.dat").unlink()
    with pytest.raises(PacoError, match=r"mmod_human_face_detector.dat\) are not here: pip install"):
        detector_of("dlib")
    with pytest.raises(PacoError, match="Did you mean dlib"):
        detector_of("dlibb")


@pytest.mark.skipif(not HERE, reason="dlib and face_recognition_models are not installed")
def test_our_chip_is_dlibs_on_photographs(data_root: Path) -> None:
    """The template of five points cuts what ``get_face_chip`` cuts by 33 of its 68, to a pixel or two."""
    import dlib as library

    detector = detector_of("dlib")
    for path in sorted((data_root / "london_set/neutral_front").glob("*.jpg"))[::20]:
        picture = read_image(path)
        face = detector.faces(picture)[0]
        found = detector.points(picture, face)
        box = library.rectangle(*(round(float(side)) for side in face.box))
        points = [library.point(int(x), int(y)) for x, y in found.landmarks]
        own = library.get_face_chip(picture, library.full_object_detection(box, points), 150, 0.25)
        transform = crop_transform(CROPS["dlib"], landmarks=found.landmarks, scheme="ibug68")
        chip = crop_image(picture, transform, 150)
        shifted = crop_image(picture, np.add(transform, [[0, 0, 6], [0, 0, 0]]), 150)
        gap, other = (np.abs(each.astype(int) - own).mean() for each in (chip, shifted))
        assert gap < 8 and other > 1.5 * gap
        middle = apply(transform, five_points(found.landmarks, "ibug68")).mean(0)
        assert np.abs(middle - 74.5).max() < 8
