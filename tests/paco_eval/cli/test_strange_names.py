"""Names that are no UTF-8 in commands that write what they read."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from paco_eval.cli import main
from tests.fixtures import stand_in_dlib as stand_in


def test_photographs_with_latin_names_are_aligned_and_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name in Latin-1 ended both commands with a traceback."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    stand_in.install(tmp_path / "site", monkeypatch)
    people = tmp_path / os.fsdecode(b"\xe9l\xe8ves")
    for person in (b"Ren\xe9", b"Zoe"):
        try:
            (people / os.fsdecode(person)).mkdir(parents=True)
        except OSError:
            pytest.skip("this file system keeps to UTF-8")
        for number in (b"1", b"2"):
            with (people / os.fsdecode(person + b"/\xfc" + number + b".png")).open("wb") as file:
                Image.fromarray(stand_in.photo(30, 20, 60)).save(file, "png")
    source = str(people)

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, list(words))
        assert result.exit_code == 0, result.output
        return result.output

    out = tmp_path / "aligned"
    assert "4  kept" in run("data", "align", source, str(out), "--detector", "dlib")
    report = pd.read_parquet(out / "report.parquet")
    assert report["image_id"][0] == "Ren\\xe9/\\xfc1.png" and set(report["by"]) == {"detector"}
    run("embed", "pixels", source, "--out", str(tmp_path / "features.parquet"))
    assert pd.read_parquet(tmp_path / "features.parquet")["image_id"].tolist() == report["image_id"].tolist()
    one = str(people / os.fsdecode(b"Zoe/\xfc1.png"))
    assert "1 of 1 pictures" in run("embed", "pixels", one, "--out", str(tmp_path / "one.npy"))
