"""dlib's recogniser behind our contract, with a stand-in; and itself on photographs, where it is installed."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import paco_eval
from paco_eval.encoders import load_encoder
from paco_fr.contracts import CROPS
from paco_fr.faces.decode import read_image
from paco_fr.faces.pixels import prepare
from paco_fr.utils.errors import PacoError
from tasks.registry import all_tasks
from tests.fixtures import stand_in_dlib as stand_in

HERE = all(find_spec(name) is not None for name in ("dlib", "face_recognition_models"))


@pytest.fixture
def dlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.install(tmp_path / "site", monkeypatch)
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))


def test_it_takes_whole_rgb_chips_and_gives_128_numbers(dlib: None) -> None:
    encoder = load_encoder("dlib")
    assert encoder.required_crop == CROPS["dlib"] and encoder.reductions == ("flat",)
    chips = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), dtype=np.uint8)
    found = encoder.tokens(prepare(chips, encoder.pixels), encoder.blocks)["out"].patches
    expected = stand_in.Recogniser.compute_face_descriptor(None, list(chips))  # the very pixels, red first
    assert found.shape == (3, 1, 128) and torch.allclose(found[:, 0], torch.tensor(expected), atol=1e-6)


def test_it_is_one_encoder_without_a_file(dlib: None) -> None:
    with pytest.raises(PacoError, match="write dlib alone"):
        load_encoder("dlib:model.dat")


def test_from_lfws_photographs_to_chips(dlib: None, tmp_path: Path) -> None:
    """`data align --for` leads from photographs with pairs to aligned faces; a face without points fails and counts."""
    from click.testing import CliRunner
    from PIL import Image

    from paco_eval.cli import main

    folder = tmp_path / "root/lfw"
    for number, name in enumerate("ABCD"):
        for picture in (1, 2):
            place = folder / name / f"{name}_{picture:04d}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            shown = stand_in.photo(75 + 5 * number, 70 + picture, 100, 250)
            Image.fromarray(shown).save(place, quality=95)
    (folder / "A/A_0002.jpg").write_bytes(b"no picture")
    (folder / "pairs.txt").write_text(
        "2\t2\nA\t1\t2\nB\t1\t2\nA\t1\tB\t1\nA\t1\tC\t1\nC\t1\t2\nD\t1\t2\nC\t1\tD\t1\nB\t2\tD\t2\n"
    )

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, [*words, "--data-root", str(tmp_path / "root")])
        assert result.exception is None, result.output
        return result.output

    task = replace(all_tasks()["recognition/lfw"], choice_from="")  # nothing is drawn to choose on
    given = {"tasks": [task], "data_root": tmp_path / "root"}
    before = paco_eval.evaluate("constant", **given, out=tmp_path / "a").frame
    assert "7  kept" in run("data", "align", "--for", "recognition/lfw", "--detector", "dlib")
    after = paco_eval.evaluate("constant", **given, out=tmp_path / "a").frame
    assert set(after["key"]) == set(before["key"])  # where faces are cut by a box, nothing is another
    frame = paco_eval.evaluate(["dlib", "constant"], **given, out=tmp_path / "b", crop="encoder").frame
    assert set(frame["encoder"]) == {"dlib", "constant"} and set(frame["n_scored"]) == {7}
    assert set(frame.set_index("encoder")["crop_hash"].items()) == {
        ("dlib", CROPS["dlib"].hash), ("constant", "".join(set(before["crop_hash"]))),
    }  # fmt: skip


@pytest.mark.skipif(not HERE, reason="dlib and face_recognition_models are not installed")
def test_people_are_told_apart_on_photographs(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten people, a neutral and a smiling picture each: dlib's own threshold of 0.6 tells all but a few pairs."""
    from paco_fr.faces.crop import crop_image, crop_transform
    from paco_fr.faces.detector import detector_of

    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    detector, encoder = detector_of("dlib"), load_encoder("dlib")
    chips, people = [], []
    for path in sorted((data_root / "london_set").glob("*_front/*.jpg")):
        person = path.name.partition("_")[0]
        if len(set(people) | {person}) > 10 and person not in people:
            continue
        picture = read_image(path)
        face = detector.points(picture, detector.faces(picture)[0])
        transform = crop_transform(CROPS["dlib"], landmarks=face.landmarks, scheme="ibug68")
        chips.append(crop_image(picture, transform, 150))
        people.append(person)
    found = encoder.tokens(prepare(np.stack(chips), encoder.pixels), ["out"])["out"].patches[:, 0]
    near = torch.cdist(found, found).numpy() < 0.6
    same = np.array(people)[:, None] == np.array(people)
    assert len(people) == 20 and near[same].all() and (near == same).mean() > 0.97
