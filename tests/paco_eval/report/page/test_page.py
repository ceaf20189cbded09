"""What the page is made of: readable colours, little weight, faces with what was said of them."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from itertools import product

import numpy as np
import pytest

from paco_eval.report.page.faces import SIDE, Face, Pictures, _axes, _points
from paco_eval.report.page.inside import attention
from paco_eval.report.page.theme import variables
from paco_fr.faces.crop import apply
from tests.paco_eval.report.conftest import Built

CSS = (files("paco_eval.report") / "page" / "page.css").read_text(encoding="utf-8")
GROUNDS = ("paper", "faint", "tint", "warn")
INKS = ("ink", "muted", "link", "good", "bad")


def colours() -> dict[str, tuple[str, str]]:
    """Return every colour of the page on light and on dark ground."""
    found = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", variables() + CSS)
    return {name: (light, dark) for name, light, dark in found}


def contrast(a: str, b: str) -> float:
    """Return the ratio of relative luminances, WCAG 2.2."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast(
        "#777777", "#ffffff"
    ) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("dark", [0, 1])
def test_text_can_be_read(dark: int) -> None:
    """Labels had a contrast of 2.6 to 3.8."""
    known = colours()
    for ink, ground in product(INKS, GROUNDS):
        assert contrast(known[ink][dark], known[ground][dark]) >= 4.5, (ink, ground)
    for name, pair in known.items():
        if re.fullmatch(r"c(\d+|-\w+)", name):
            assert contrast(pair[dark], known["paper"][dark]) >= 3, f"marks of {name}"
    assert contrast(known["c0"][dark], known["paper"][dark]) >= 4.5, "numbers in dark cells"


def test_text_is_in_ink_alone() -> None:
    """Names stood in the colours of their lines."""
    for found in re.findall(r"(?<![\w-])color: ([^;}]+)", CSS):
        assert found in ("inherit", *(f"var(--{ink})" for ink in INKS)), found
    for rule in re.findall(r"svg [^{]*\{[^}]*\}", CSS):
        for fill in re.findall(r"fill: ([^;}]+)", rule):
            assert fill in ("var(--ink)", "var(--muted)", "var(--paper)"), rule
    assert not re.search(r"small[^{]*\{[^}]*opacity", CSS)


def test_the_page_is_light(built: Built) -> None:
    """A quickstart's page had 10.9 MB, 70 % of it sheets of faces."""
    assert len(built.html.encode()) < 1_000_000
    face = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    pictures = Pictures()
    assert pictures.add(face) == pictures.add(face.copy()) == 0 and pictures.add(face[::-1].copy()) == 1
    smooth = np.kron(
        np.arange(0, 256, 32, dtype=np.uint8)[:, None, None], np.ones((SIDE // 8, SIDE, 3), np.uint8)
    )
    assert len(Pictures().addresses) == 0 and smooth.shape[0] == SIDE
    p = Pictures()
    p.add(smooth)
    assert len(p.addresses[0]) < 3_000


def test_points_are_laid_over_their_face() -> None:
    turn = np.array([[0.0, -2.0, 50.0], [2.0, 0.0, 5.0]])
    face = Face(np.zeros((112, 112, 3), np.uint8), 0, turn)
    points = np.array([[1.0, 2.0], [3.5, 4.0]])
    np.testing.assert_allclose(
        np.array(_points(points, face)).reshape(-1, 2) / 10, apply(turn, points), atol=0.06
    )


@pytest.mark.parametrize(
    ("angles", "x", "y"), [((40, 0, 0), -1, 0), ((-40, 0, 0), 1, 0), ((0, 30, 0), 0, -1)]
)
def test_the_nose_points_where_the_angles_say(angles: tuple[float, float, float], x: int, y: int) -> None:
    """Positive yaw: the nose to the left of the picture; positive pitch: up."""
    pixels = np.zeros((90, 90, 3), np.uint8)
    upright = Face(pixels, 0, np.array([[1.5, 0, 0], [0, 1.5, 0]]))
    *_, nose_x, nose_y = _axes(angles, upright)
    assert (np.sign(nose_x), np.sign(nose_y)) == (x, y)
    assert np.hypot(nose_x, nose_y) == pytest.approx(
        300 * np.sin(np.radians(abs(angles[0] + angles[1]))), abs=1
    )
    turned = Face(pixels, 0, np.array([[0, -1.5, 0], [1.5, 0, 0]]))  # a crop turned by 90 degrees
    *_, other_x, other_y = _axes(angles, turned)
    assert (np.sign(other_x), np.sign(other_y)) == (-y, x)


def test_the_matrix_holds_the_same_faces_for_all(built: Built) -> None:
    """Every encoder was shown on other faces."""
    text = re.search(r'id="data">(.*?)</script>', built.html, re.DOTALL)
    assert text
    data = json.loads(text[1])
    tasks = {matrix["task"]: matrix for matrix in data["faces"]}
    pose = tasks["pose/synthetic"]
    assert [column["id"] for column in pose["columns"]] == ["00003", "00001"]
    assert (
        all(len(row["cells"]) == 3 and len(row["own"]) == 1 for row in pose["rows"])
        and len(pose["rows"]) == 5
    )
    pairs = tasks["recognition/synthetic"]
    assert (
        len(pairs["sets"]) == 5
        and [c["same"] for c in pairs["sets"][0]["columns"]] == [True] * 3 + [False] * 3
    )
    own = next(row for row in pairs["sets"][0]["rows"] if row["label"] == pairs["sets"][0]["label"])
    assert [cell["t"] for cell in own["cells"][:3]] == ["rejected"] * 3, "of one person, and told apart"
    assert own["cells"][0]["v"] < 50 < own["cells"][3]["v"]
    assert len(data["pictures"]) == len(set(data["pictures"]))


def test_attention_is_light_where_it_looks() -> None:
    faces = np.full((1, 8, 8, 3), 200, np.uint8)
    looked = np.array([[0.0, 1.0, 0.0, 0.25]])
    shown = attention(faces, looked, np.array([2]))[0]
    assert (
        shown[1, 5].tolist() == [200] * 3
        and shown[1, 1].tolist() == [40] * 3
        and shown[5, 5].tolist() == [120] * 3
    )
    assert shown[4, 0].tolist() == [213, 94, 0]
