"""``paco-eval data`` and own data on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from paco_eval.cli import main
from tests.paco_fr.conftest import smooth_faces


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACO_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("root")
        code, text = run("data", "mimic", "expression/rafdb,landmarks/300w", folder, "--faces", 12)
        assert code == 0
        assert "expression/rafdb: train 12, test 12" in text
        assert "Rehearse" in text
    return folder


def test_check_prints_a_passport(root: Path) -> None:
    code, text = run("data", "check", "expression/rafdb", "--data-root", root)
    assert code == 0
    for expected in ("as expected (mimic)", "24 expected, 24 found, 0 broken", "fingerprint", "licence"):
        assert expected in text
    code, text = run("data", "check", "landmarks/*", "--data-root", root, "--format", "json", "--quick")
    assert code == 0
    [one] = json.loads(text)
    assert (one["task"], one["sound"], one["differences"]) == ("landmarks/300w v2", True, {})


def test_own_folders_are_checked_and_described(root: Path, tmp_path: Path) -> None:
    """Only tasks by name had a passport; a folder of one's own was first looked at when it was scored."""
    for part in ("train", "test"):
        for number, name in enumerate(("fear", "anger")):
            (tmp_path / "mine" / part / name).mkdir(parents=True)
            picture = smooth_faces(4, 16)[2 * (part == "test") + number]
            Image.fromarray(picture).save(tmp_path / "mine" / part / name / "1.png")
    own = f"expression={tmp_path / 'mine'}"
    code, text = run("data", "check", own)
    assert code == 0 and "expression/mine v1: as expected (user)" in text and "4 expected, 4 found" in text
    (tmp_path / "mine/test/fear/1.png").write_bytes((tmp_path / "mine/train/fear/1.png").read_bytes()[:60])
    code, text = run("data", "check", own)
    assert code == 1 and "1 broken" in text and "mine/test/fear/1.png" in text
    code, text = run("data", "describe", own, "--out", tmp_path / "sheets")
    assert code == 0 and (tmp_path / "sheets/expression-mine/summary.md").is_file()
    assert "test/fear/1.png" in (tmp_path / "sheets/expression-mine/summary.md").read_text()
    for command in ("check", "describe"):
        assert "Did you mean expression" in run("data", command, f"expresion={tmp_path}")[1]
        code, text = run("data", command, f"expression={tmp_path / 'nowhere'}")
        assert code == 3 and "does not exist" in text


def test_check_finds_what_is_wrong(root: Path) -> None:
    (root / "300W/afw/image_0000.jpg").write_bytes(b"\xff\xd8\xff")
    code, text = run("data", "check", "landmarks/300w", "--data-root", root)
    assert code == 1
    assert "NOT as expected" in text
    assert "image_0000.jpg" in text
    code, text = run("data", "check", "landmarks/wflw", "--data-root", root)
    assert code == 3
    assert "WFLW/WFLW_images" in text
    assert "Download" in text
    assert run("data", "check", "landmarks/wlfw", "--data-root", root)[0] == 2


def test_real_data_is_never_written_over(root: Path, tmp_path: Path) -> None:
    (tmp_path / "RAF-DB").mkdir()
    code, text = run("data", "mimic", "expression/rafdb", tmp_path)
    assert code == 2
    assert "is no miniature; nothing is written over it" in text
    code, text = run("data", "mimic", "recognition/london", tmp_path)
    assert code == 2


def test_own_data_is_planned(root: Path) -> None:
    folder = root / "own"
    for name in ("fear", "anger"):
        (folder / name).mkdir(parents=True)
    code, text = run("evaluate", "pixels", "--folder", f"expression={folder}", "--dry-run")
    assert code == 0
    assert text.startswith(f"pixels  expression/own v1  {folder}: no images")
    assert "no images" in text
    assert run("evaluate", "pixels", "--folder", "expresion=x", "--dry-run")[0] == 2
