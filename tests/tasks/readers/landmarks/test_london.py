from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from paco_fr.contracts import CropContract
from paco_fr.faces.crop import apply, crop_transform, invert
from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.landmarks.london import POINTS, read_landmarks, read_recognition, selection_people


def write_person(root: Path, person: str, shift: float = 0.0, *, smiling: bool = True) -> None:
    """One invented person: a grey picture of 200 x 200 and points on a circle."""
    for folder, number, wanted in (("neutral_front", "03", True), ("smiling_front", "08", smiling)):
        if wanted:
            path = root / "london_set" / folder / f"{person}_{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(np.full((200, 200, 3), 128, np.uint8)))
    turn = np.linspace(0, 2 * np.pi, 189)
    points = np.stack([100 + shift + 40 * np.cos(turn), 90 + 50 * np.sin(turn)], axis=1)
    lines = ["189", *(f"{x:.3f}\t{y:.3f}" for x, y in points), "0"]
    (root / "london_set/neutral_front" / f"{person}_03.tem").write_text("\n".join(lines))


@pytest.fixture
def invented(tmp_path: Path) -> Path:
    for number in range(24):
        write_person(tmp_path, f"{number:03d}", smiling=number != 5)
    return tmp_path


def test_selection_is_by_hash_of_the_id() -> None:
    people = [f"{n:03d}" for n in range(1, 60)]
    chosen = selection_people(people)
    assert len(chosen) == 20
    largest = max(hashlib.sha256(p.encode()).hexdigest() for p in chosen)
    assert all(hashlib.sha256(p.encode()).hexdigest() > largest for p in people if p not in chosen)
    with pytest.raises(PacoError, match="20 people"):
        selection_people(people[:20])


def test_only_photographs_that_exist_count(invented: Path) -> None:
    found = read_recognition(invented)
    assert len(found) == 2 * (24 + 23)
    assert len(set(found["image_id"][:])) == len(found)
    assert found.filter(lambda r: r["media"] == "smiling" and r["identity"] == "005").num_rows == 0


def test_test_people_do_not_move_the_box(invented: Path) -> None:
    before = read_recognition(invented)
    outsider = next(r["identity"] for r in before if r["split"] == "test")
    insider = next(r["identity"] for r in before if r["split"] == "validation")
    write_person(invented, outsider, shift=30)
    assert read_recognition(invented)["box"][:] == before["box"][:]
    write_person(invented, insider, shift=30)
    assert read_recognition(invented)["box"][:] != before["box"][:]


def test_missing_line_and_missing_points_are_errors(invented: Path) -> None:
    path = invented / "london_set/neutral_front/003_03.tem"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:80] + lines[81:]))
    with pytest.raises(PacoError, match=r"003_03\.tem, line 190: .*Restore the original"):
        read_landmarks(invented)
    path.unlink()
    with pytest.raises(MissingDataError, match=r"003_03\.tem is missing"):
        read_landmarks(invented)


def test_absent_set_says_how_to_obtain_it(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"doi 10\.6084"):
        read_recognition(tmp_path)
    (tmp_path / "london_set").mkdir()
    with pytest.raises(PacoError, match=r"no photographs named NNN_03\.jpg"):
        read_landmarks(tmp_path)


def test_genuine_recognition(data_root: Path) -> None:
    photos = {
        media: {p.name[:3] for p in (data_root / "london_set" / f"{media}_front").glob("*.jpg")}
        for media in ("neutral", "smiling")
    }
    found = read_recognition(data_root)
    assert len(found) == 2 * sum(map(len, photos.values()))
    for control in (False, True):
        view = found.filter(lambda row, control=control: bool(row["subsets"]) == control)
        assert len({tuple(box) for box in view["box"]}) == 1
        x0, y0, x1, y1 = view[0]["box"]
        assert x1 - x0 == pytest.approx(y1 - y0, abs=1e-3)
    validation = {r["identity"] for r in found if r["split"] == "validation"}
    assert validation == selection_people(photos["neutral"])
    assert len(validation) == 20
    assert not validation & {r["identity"] for r in found if r["split"] == "test"}


def test_genuine_control_view_shows_no_face(data_root: Path) -> None:
    """The control crop, margin included, stays clear of every annotated point, hair and neck included."""
    from tasks.readers.landmarks.psychomorph import read_tem

    found = read_recognition(data_root)
    control = next(r for r in found if r["subsets"] == ["control"])
    canvas = crop_transform(CropContract("box", margin=0.25, canvas=64), box=control["box"])
    low, high = apply(invert(canvas), [[-0.5, -0.5], [63.5, 63.5]])
    assert np.allclose(low, [-0.5, 539.5])
    assert np.allclose(high, [134.5, 674.5])
    for path in (data_root / "london_set/neutral_front").glob("*.tem"):
        points = read_tem(path)[:POINTS]
        assert not ((points > low - 40) & (points < high + 40)).all(axis=1).any()


def test_genuine_landmarks(data_root: Path) -> None:
    found = read_landmarks(data_root)
    assert len(found) == len(list((data_root / "london_set/neutral_front").glob("*_03.jpg")))
    points = np.array(found["landmarks"][:])
    assert points.shape == (len(found), 134, 2)
    assert set(found["scheme"]) == {"london189"}
    boxes = np.array(found["box"][:])
    assert (boxes[:, :2] == points.min(axis=1)).all()
    assert (boxes[:, 2:] == points.max(axis=1)).all()
    # The mean shape alone has an error of some 10 % of the outer eye corners' distance.
    fixed = points[[split == "validation" for split in found["split"]]].mean(axis=0)
    scored = points[[split == "test" for split in found["split"]]]
    ocular = np.linalg.norm(scored[:, 18] - scored[:, 27], axis=-1)
    error = (np.linalg.norm(scored - fixed, axis=-1).mean(axis=1) / ocular).mean()
    assert 0.07 < error < 0.14
