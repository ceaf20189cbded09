"""Aligning with the genuine face-alignment code, on weights of the right shape that say what a test needs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from paco_fr.data.align import Rules, align, judge, turn_of
from paco_fr.data.sources import load_source
from paco_fr.faces.decode import encode_png
from paco_fr.faces.detector import Detector, Found
from paco_fr.faces.landmarks import five_points
from paco_fr.faces.records import features
from paco_fr.utils.errors import PacoError
from tests.paco_fr.conftest import smooth_faces


def blind(net: torch.nn.Module) -> None:
    """Let a face detector see nothing: no weights, and a bias that says background."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.zero_()
            if name.endswith("mbox_conf.bias"):
                parameter[0] = 10.0


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Write weights of the right shape under the names the library looks for: everywhere one large face."""
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    folder = tmp_path_factory.mktemp("torch") / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    net = s3fd()
    blind(net)
    with torch.no_grad():
        net.conv7_2_mbox_conf.bias.copy_(
            torch.tensor([0.0, 10.0])
        )  # stride 128: boxes of 512 px, all overlapping
    torch.save(net.state_dict(), folder / "s3fd-619a316812.pth")
    torch.save(FAN(4).state_dict(), folder / "2DFAN4-11f355bf06.pth.tar")
    return folder.parents[1]


@pytest.fixture
def photos(tmp_path, monkeypatch, weights) -> str:
    from face_alignment import utils

    monkeypatch.setenv("TORCH_HOME", str(weights))
    for name, value in list(
        vars(utils).items()
    ):  # interpreted: compiling them takes longer than all else here
        if hasattr(value, "py_func"):
            monkeypatch.setattr(utils, name, value.py_func)
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, picture in enumerate(smooth_faces(1, 128)):
        Image.fromarray(picture).save(folder / f"{index}.png")
    (folder / "1.png").write_bytes(b"not a picture")
    return str(folder)


def test_the_library_finds_a_face_and_68_points(photos, tmp_path):
    rules = Rules(canvas=64, max_turn=90.0, min_side=1.0)
    counts = align(photos, tmp_path / "out", rules)
    report = pd.read_parquet(tmp_path / "out" / "report.parquet")
    assert report["image_id"].tolist() == ["0.png", "1.png"] and report["status"][1] == "unreadable"
    assert counts["kept"] == 1 and report["by"][0] == "detector" and report["faces"][0] == 1
    found = load_source(str(tmp_path / "out" / "faces"))
    assert len(found) == 1 and np.shape(found[0]["landmarks"]) == (68, 2) and found[0]["scheme"] == "ibug68"
    again = align(photos, tmp_path / "out", rules)  # nothing is left to do
    assert again == counts
    with pytest.raises(PacoError, match=r"aligned with min_side 1\.0, not 500\.0"):
        align(photos, tmp_path / "out", Rules(canvas=64, max_turn=90.0, min_side=500.0))


def test_a_detector_that_sees_nothing_reports_it(photos, tmp_path, monkeypatch, weights):
    from face_alignment.detection.sfd.net_s3fd import s3fd

    other = tmp_path / "torch" / "hub" / "checkpoints"
    other.mkdir(parents=True)
    net = s3fd()
    blind(net)
    torch.save(net.state_dict(), other / "s3fd-619a316812.pth")
    (other / "2DFAN4-11f355bf06.pth.tar").symlink_to(
        weights / "hub" / "checkpoints" / "2DFAN4-11f355bf06.pth.tar"
    )
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(
        PacoError,
        match=r"not one of 2 photographs was kept \(no face: 1, unreadable: 1\)\. First: no face with a score",
    ):
        align(photos, tmp_path / "out", Rules())


FACE = np.array([[-15, -15], [15, -15], [0, 2], [-11, 20], [11, 20]], float)


def face_at(x: float, y: float, scale: float = 1.0, nose: float = 0.0) -> Found:
    five = FACE * scale + [x, y]
    five[2, 0] += nose * scale
    return Found(np.array([x - 30 * scale, y - 30 * scale, x + 30 * scale, y + 40 * scale]), 0.9, five)


class Says:
    """A detector that says what it is told."""

    failed = False

    def __init__(self, *found: Found) -> None:
        self.found = list(found)

    def __call__(self):
        return self

    def faces(self, image):
        return self.found

    def points(self, image, face):
        landmarks = np.zeros((68, 2))
        for group, point in zip(
            ((36, 42), (42, 48), (30, 31), (48, 49), (54, 55)), face.landmarks, strict=True
        ):
            landmarks[slice(*group)] = point
        return Found(face.box, face.score, landmarks)


@pytest.mark.parametrize(
    ("faces", "several", "status", "why"),
    [
        ([], "largest", "no face", "score of 0.8"),
        ([face_at(100, 100)], "largest", "kept", ""),
        ([face_at(100, 100), face_at(40, 40, 1.2)], "largest", "kept", "the largest of 2 faces"),
        ([face_at(100, 100), face_at(40, 40, 1.2)], "central", "kept", "the central of 2 faces"),
        ([face_at(100, 100), face_at(40, 40)], "reject", "several faces", "2 faces"),
        ([face_at(100, 100, 0.4)], "largest", "too small", "28 px, less than 48"),
        ([face_at(100, 100, 1.0, nose=60)], "largest", "too turned", "73 degrees, more than 60"),
    ],
)
def test_every_reason_is_told(faces, several, status, why):
    line, face, _ = judge(
        np.zeros((200, 200, 3), np.uint8), {"image_id": "a"}, Rules(several=several), Says(*faces)
    )
    assert line.status == status and why in line.why and (face is not None) == (status == "kept")
    if several == "central":
        assert face.box[0] == 70
    if why.startswith("the largest"):
        assert face.box[0] == 4


def test_landmarks_that_are_there_are_used_and_no_detector_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "paco_fr.data.align.detector_of", lambda name, device: pytest.fail("the detector was asked for")
    )
    picture = {"bytes": encode_png(smooth_faces(1, 200)[0]), "path": None}
    given = (FACE * 2 + 100).tolist()
    columns = {"image": [picture] * 3, "image_id": ["a", "b", "c"], "group": ["a", "b", "c"],
               "landmarks": [given, given, (np.ones((5, 2)) * 50).tolist()], "scheme": ["five"] * 3}  # fmt: skip
    from datasets import Dataset

    Dataset.from_dict(columns, features=features(columns)).save_to_disk(str(tmp_path / "set"))
    monkeypatch.setattr("paco_fr.data.align.PART", 2)
    counts = align(
        str(tmp_path / "set"), tmp_path / "out", Rules(template="arcface", canvas=112, min_side=0.0)
    )
    assert counts == {"kept": 2, "no alignment": 1}
    row = load_source(str(tmp_path / "out" / "faces"))[0]
    from paco_fr.faces.crop import template_points

    assert np.abs(five_points(row["landmarks"], "five") - template_points("arcface", 112)).max() < 6
    assert len(list((tmp_path / "out" / "parts").iterdir())) == 2


def test_an_interrupted_align_goes_on_and_processes_give_what_one_gives(tmp_path, monkeypatch):
    import paco_fr.data.align as aligning

    picture = {"bytes": encode_png(smooth_faces(1, 200)[0]), "path": None}
    names = ["a", "b", "c"]
    columns = {"image": [picture] * len(names), "image_id": names, "group": names,
               "landmarks": [(FACE * 2 + 100).tolist()] * len(names), "scheme": ["five"] * len(names)}  # fmt: skip
    from datasets import Dataset

    Dataset.from_dict(columns, features=features(columns)).save_to_disk(str(tmp_path / "set"))
    rules = Rules(template="arcface", canvas=32, min_side=0.0)
    real, parts = aligning._part, []

    def stop_at_second(context, number):
        parts.append(number)
        if len(parts) == 2:
            raise KeyboardInterrupt
        return real(context, number)

    with monkeypatch.context() as patch:
        patch.setattr(aligning, "PART", 2)
        patch.setattr(aligning, "_part", stop_at_second)
        with pytest.raises(KeyboardInterrupt):
            align(str(tmp_path / "set"), tmp_path / "cut", rules)
        assert not (tmp_path / "cut" / "report.parquet").exists()
        counts = align(str(tmp_path / "set"), tmp_path / "cut", rules)
    assert parts == [0, 1, 1] and counts["kept"] == 3
    assert align(str(tmp_path / "set"), tmp_path / "two", rules, workers=2) == counts
    one, two = (load_source(str(tmp_path / name / "faces")) for name in ("cut", "two"))
    assert one["image_id"] == two["image_id"] == names and one["landmarks"] == two["landmarks"]


def test_without_weights_and_network_the_error_names_files_and_folder(tmp_path, monkeypatch):
    from urllib.error import URLError

    def offline(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(
        PacoError,
        match=r"no route to host.*s3fd-619a316812\.pth \(from http.*2DFAN4-11f355bf06\.pth\.tar.*into .*checkpoints",
    ):
        Detector()
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True, exist_ok=True)
    (tmp_path / "hub" / "checkpoints" / "s3fd-619a316812.pth").write_bytes(b"half")
    with pytest.raises(PacoError, match=r"cannot be used.*Delete s3fd"):
        Detector()


def test_a_missing_system_library_is_named(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in ("cv2", "face_alignment")]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PacoError, match=r"system library libGL\.so\.1.*apt-get install libgl1"):
        Detector()


def test_turns_of_known_points():
    assert turn_of(FACE) == 0
    turned = FACE.copy()
    turned[2, 0] += 0.6 * 30
    assert turn_of(turned) == pytest.approx(45)
    angle = np.radians(30)  # roll is no turn
    roll = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert turn_of(turned @ roll.T) == pytest.approx(45)


def with_points(path: Path, pictures: list[np.ndarray]) -> str:
    """Write photographs with their points as a parquet file; those need no detector."""
    from datasets import Dataset

    cells, names = [{"bytes": encode_png(each), "path": None} for each in pictures], ["a", "b", "c"]
    columns = {"image": cells, "image_id": names, "group": names,
               "landmarks": [(FACE * 2 + 100).tolist()] * len(names), "scheme": ["five"] * len(names)}  # fmt: skip
    Dataset.from_dict(columns, features=features(columns)).to_parquet(str(path))
    return str(path)


def test_photographs_that_changed_are_aligned_anew_and_the_same_by_any_path_are_not(
    tmp_path, monkeypatch, capfd
):
    """The source counted as it was written, and files by size and time: a copied folder was aligned "otherwise"."""
    import paco_fr.data.align as aligning

    monkeypatch.setattr(aligning, "PART", 2)
    pictures, rules, out = list(smooth_faces(4, 200)), Rules(template="arcface", canvas=32), tmp_path / "out"
    source = with_points(tmp_path / "photos.parquet", pictures[:3])
    align(source, out, rules)
    before = [path.stat().st_mtime_ns for path in sorted((out / "faces").iterdir())]
    copy = tmp_path / "copied.parquet"
    copy.write_bytes(Path(source).read_bytes())
    monkeypatch.chdir(tmp_path)
    for same in ("photos.parquet", str(copy)):
        align(same, out, rules)
        assert [path.stat().st_mtime_ns for path in sorted((out / "faces").iterdir())] == before
    assert "anew" not in capfd.readouterr().err
    with_points(copy, [*pictures[:2], pictures[3]])
    align(str(copy), out, rules)
    assert "1 of 2 parts" in (said := capfd.readouterr().err) and "aligned anew" in said
    after = [path.stat().st_mtime_ns for path in sorted((out / "faces").iterdir())]
    assert after[0] == before[0] and after[1] != before[1]
    other = with_points(tmp_path / "other.parquet", pictures[:0:-1])
    with pytest.raises(PacoError, match="was aligned with source"):
        align(other, out, rules)


@pytest.mark.parametrize(
    "which", ["faces/part-00000.parquet", "parts/report-00000.parquet", "inputs/part-00000.txt"]
)
def test_damaged_parts_of_aligned_faces_are_made_again(which, tmp_path):
    """Aligned faces had no checksum: one flipped bit became a face of a data set."""
    source = with_points(tmp_path / "photos.parquet", list(smooth_faces(3, 200)))
    out = tmp_path / "out"
    align(source, out, Rules(template="arcface", canvas=32))
    whole = (out / which).read_bytes()
    (out / which).write_bytes(whole[:100] + bytes([whole[100 % len(whole)] ^ 1]) + whole[101:])
    align(source, out, Rules(template="arcface", canvas=32))
    assert (out / which).read_bytes() == whole
