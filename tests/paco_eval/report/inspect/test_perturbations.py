from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

import paco_eval.report.inspect.perturbations as describing
from paco_eval.report.inspect.perturbations import describe_perturbed, named, sheet
from paco_fr.utils.errors import PacoError
from tasks.perturbations.catalogue import PERTURBATIONS, kinds_of
from tests.paco_eval.evaluation.test_derived import face_records, pointless_records


def test_every_level_is_shown_on_the_same_faces(tmp_path):
    (sheet,) = describe_perturbed(face_records(people=4, pictures=1), "boxes", tmp_path)
    assert sheet.name == "perturb-boxes.png"
    with Image.open(sheet) as one:
        size = one.size
    (whole,) = describe_perturbed(face_records(people=4, pictures=1), "occlusion", tmp_path)
    with Image.open(whole) as several:
        assert several.size[1] > size[1] or several.size[0] > size[0], "a factor shows all of its kinds"
    again = tmp_path / "again"
    again.mkdir()
    (same,) = describe_perturbed(face_records(people=4, pictures=1), "boxes", again)
    assert np.array_equal(np.asarray(Image.open(sheet)), np.asarray(Image.open(same)))


def test_a_sheet_shows_different_people_in_percent_of_the_face(tmp_path, monkeypatch):
    shown = []

    def looking(names, canvases, faces, keys, **options):
        shown.extend(keys)
        return sheet(names, canvases, faces, keys, **options)

    monkeypatch.setattr(describing, "sheet", looking)
    describe_perturbed(face_records(people=5, pictures=3), "boxes", tmp_path)
    assert shown == ["0-0", "1-0", "2-0", "3-0"]
    said = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda _, at, text, **options: said.append(text))
    describe_perturbed(face_records(people=1, pictures=1), "boxes", tmp_path)
    assert re.fullmatch(r"boxes \(occlusion\).*hidden clean( [1-5]: \d+ %){5}", " ".join(said)), said


def test_names_are_kinds_factors_or_all():
    assert named("all") == tuple(PERTURBATIONS) and named("quality") == kinds_of("quality")
    with pytest.raises(PacoError, match="sunglasses"):
        named("sunglases")


def test_what_is_anchored_to_landmarks_is_refused_without_them(tmp_path):
    with pytest.raises(PacoError, match="landmarks"):
        describe_perturbed(pointless_records(), "sunglasses", tmp_path)
    assert describe_perturbed(pointless_records(), "blur", tmp_path)[0].exists()
