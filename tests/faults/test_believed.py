"""Nothing is served for another thing, and nothing stored is believed unchecked: through the program's own doors alone."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import paco_eval
from paco_fr.contracts import PixelContract
from paco_fr.utils.errors import PacoError
from tasks.user_tasks import own_task
from tests.fixtures.child import called, start
from tests.fixtures.own_encoder import own_encoder

PIXELS = PixelContract(size=16)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Pictures of one size in two class folders, dark and bright ones."""
    write(tmp_path / "faces")
    return tmp_path / "faces"


def write(folder: Path, *, noise: bool = False, count: int = 30) -> None:
    rng = np.random.default_rng(1)
    for number in range(count):
        kind = ("dark", "light")[number % 2]
        level = 128 if noise else (70, 180)[number % 2]
        picture = level + rng.integers(-60, 60, (16, 16, 3))
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.astype(np.uint8)).save(folder / kind / f"{number:02d}.bmp")
    time.sleep(0.08)  # longer than a tick of a file system's clock


def measured(encoder: object, faces: Path, out: Path) -> paco_eval.Results:
    return paco_eval.evaluate(encoder, [own_task(f"classes={faces}")], pixels=PIXELS, out=out)


def scores(encoder: object, faces: Path, out: Path) -> list[float]:
    frame = measured(encoder, faces, out).frame
    return sorted(frame[frame["main"]]["value"].tolist())


def evaluate(faces: Path, out: Path, *more: object) -> tuple[int, str]:
    return called("evaluate", "pixels", "--folder", f"classes={faces}", "--out", out, *more)


def pooled(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 8, 8), kind())


class Zeros(nn.Module):
    def forward(self, values):
        return values * 0


def test_two_networks_with_equal_tensors_share_nothing(faces, tmp_path):
    """The second got the first one's features, choice and row: both had its score."""
    first = scores(pooled(nn.GELU), faces, tmp_path / "a")
    assert scores(pooled(Zeros), faces, tmp_path / "a") != first
    assert len(list((tmp_path / "a" / "rows").glob("*.json"))) == 2


def test_replaced_pictures_are_measured_again(faces, tmp_path):
    """Pictures overwritten by others of the same names and sizes were "already measured"."""
    assert scores("pixels", faces, tmp_path / "out") == [100]
    write(faces, noise=True)
    assert scores("pixels", faces, tmp_path / "out")[0] < 90


@pytest.mark.parametrize("values", [
    "torch.cat([values, values[:1]])", "values[:-1]", "values[:, 0]", "values - values.mean(0)",
], ids=["one too many", "one too few", "another rank", "of the batch"])  # fmt: skip
def test_misaligned_features_are_refused_in_words(values, faces, tmp_path):
    """One feature too many and dependence on the batch became rows; one too few broke the cache."""
    where = f"classes={faces}"
    status, said = called(
        "evaluate",
        "--encoder-from",
        own_encoder(tmp_path, values),
        "--trust",
        "--folder",
        where,
        "--out",
        tmp_path / "out",
    )
    assert status == 1 and "Traceback" not in said and "own: block a" in said.replace("own: own", "own")
    assert not list((tmp_path / "out").glob("rows/*.json"))


def test_an_encoder_that_ends_the_process_ends_no_run(faces, tmp_path):
    """``sys.exit(0)`` in ``tokens()`` ended the evaluation with status 0 and no row."""
    status, said = called("evaluate", "--encoder-from", own_encoder(tmp_path, "sys.exit(0)"), "--trust", "pixels", "--folder",
                          f"classes={faces}", "--out", tmp_path / "out")  # fmt: skip
    assert status == 1 and "own" in said
    assert len(list((tmp_path / "out").glob("rows/*.json"))) == 1


def test_a_collapsed_encoder_says_so_in_row_table_and_console(faces, tmp_path):
    """A score of features that are the same for all pictures stood without a word."""
    told = "features do not depend on the picture"
    _, said = called("evaluate", "--encoder-from", own_encoder(tmp_path, "values * 0 + 1"), "--trust", "--folder",
                     f"classes={faces}", "--out", tmp_path / "out")  # fmt: skip
    (row,) = (tmp_path / "out").glob("rows/*.json")
    assert told in said and told in row.read_text()
    assert told in called("report", tmp_path / "out", "--format", "md")[1]


def test_chance_is_refused_or_stands_in_row_and_table(faces, tmp_path):
    """Nothing told a number that chance had made from others."""
    values = "values + 1e-3 * torch.rand_like(values)"
    words = ("evaluate", "--encoder-from", own_encoder(tmp_path, values), "--trust", "--folder", f"classes={faces}",
             "--out", tmp_path / "out")  # fmt: skip
    status, said = called(*words)
    assert status == 1 and "--allow-random" in said and not list((tmp_path / "out").glob("rows/*.json"))
    status, said = called(*words, "--allow-random")
    assert status == 0, said
    assert "depend on chance" in called("report", tmp_path / "out", "--format", "md")[1]


def parts_of(cache: Path) -> list[Path]:
    return sorted(cache.glob("features/*/*.safetensors"))


@pytest.mark.parametrize("harm", ["flipped", "empty"])
def test_damaged_features_are_never_served_and_heal(harm, faces, cache, tmp_path):
    """Flipped bits moved a score; an empty part failed its cell each time, without the file's name."""
    measured("pixels", faces, tmp_path / "a")
    for path in parts_of(cache):
        data = bytearray(path.read_bytes())
        for at in range(len(data) // 2, len(data), 5):
            data[at] ^= 0x10
        path.write_bytes(data if harm == "flipped" else b"")
    status, said = evaluate(faces, tmp_path / "b")
    assert status == 0 and "Damaged: " in said
    first, second = (load(tmp_path / name) for name in "ab")
    assert first == second


def load(out: Path) -> list[dict[str, object]]:
    import json

    return [json.loads(path.read_text())["metrics"] for path in sorted(out.glob("rows/*.json"))]


@pytest.mark.parametrize("change", ["flipped", "scaled"])
def test_weights_that_are_not_those_of_their_card_are_refused(change, tmp_path):
    """One flipped bit, or all weights times 1.5, loaded without a word."""
    from safetensors.torch import load_file, save_file

    import paco_fr

    shutil.copytree(Path(paco_fr.__file__).parent / "weights" / "mae-tiny", tmp_path / "run")
    path = tmp_path / "run" / "model.safetensors"
    if change == "flipped":
        data = bytearray(path.read_bytes())
        data[-1000] ^= 2
        path.write_bytes(data)
    else:
        save_file({name: tensor * 1.5 for name, tensor in load_file(path).items()}, path)
    with pytest.raises(PacoError, match="damaged"):
        paco_eval.load_encoder(f"paco:{tmp_path / 'run'}")


@pytest.mark.parametrize("kind", ["items.parquet", "samples.npz"])
@pytest.mark.parametrize("harm", ["another's", "cut", "gone"])
def test_a_row_whose_files_are_not_its_own_is_measured_again(kind, harm, faces, tmp_path):
    """Items of another writing, and samples that were cut or missing, stayed "already measured" for ever."""
    measured("pixels", faces, tmp_path / "out")
    (path,) = (tmp_path / "out" / "rows").glob(f"*.{kind}")
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if harm == "cut" else whole[:-9] + bytes(9))
    measured("pixels", faces, tmp_path / "out")
    (again,) = (each for each in (tmp_path / "out" / "rows").glob(f"*.{kind}") if "damaged" not in each.name)
    assert len(again.read_bytes()) >= len(whole) - 9 and again.read_bytes()[-9:] == whole[-9:]


def test_a_report_on_a_full_disk_leaves_whole_tables_or_none(faces, tmp_path):
    """A cut ``results.csv`` looked whole."""
    measured("pixels", faces, tmp_path / "out")
    called("report", tmp_path / "out", "--format", "csv", "--out", tmp_path / "report")
    before = (tmp_path / "report" / "results.csv").read_bytes()
    words = ("report", tmp_path / "out", "--format", "csv", "--out", tmp_path / "report")
    status, said = called(*words, largest=100)
    assert status and "Traceback" not in said
    assert (tmp_path / "report" / "results.csv").read_bytes() == before


def test_what_a_killed_writer_left_is_swept(faces, cache, tmp_path):
    """Temporaries of killed writers stayed for ever."""
    evaluate(faces, tmp_path / "out")
    left = [parts_of(cache)[0].parent / ".a.safetensors.4194300.tmp", cache / "choices" / ".b.json.4194300.tmp",
            tmp_path / "out" / "rows" / ".c.json.4194300.tmp"]  # fmt: skip
    for path in left:
        path.write_bytes(b"half")
        os.utime(path, (0, 0))
    evaluate(faces, tmp_path / "out", "--overwrite", "always")
    called("cache", "list")
    assert not [path for path in left if path.exists()]


def test_a_colleague_can_read_what_was_written(faces, cache, tmp_path):
    """Features, weights and exports had mode 0600, folders of exports 0700, whatever the umask."""
    before = os.umask(0o022)
    try:
        evaluate(faces, tmp_path / "out")
        called("embed", "pixels", faces, "--out", tmp_path / "features.parquet")
        called("export", weights(tmp_path), "--to", "half", "--out", tmp_path / "half")
    finally:
        os.umask(before)
    made = [*cache.rglob("*"), *(tmp_path / "out").rglob("*"), tmp_path / "features.parquet", tmp_path / "half",
            *(tmp_path / "half").rglob("*")]  # fmt: skip
    hidden = [path for path in made if not path.name.startswith(".") and path.stat().st_mode & 0o044 != 0o044]
    assert len(made) > 10 and hidden == []


def weights(tmp_path: Path) -> Path:
    import paco_fr

    shutil.copytree(Path(paco_fr.__file__).parent / "weights" / "mae-tiny", tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("form", ["timm", "half"])
def test_an_export_never_destroys_what_it_reads(form, tmp_path):
    """``export CK --to half --out CK`` replaced the checkpoint by its export, status 0."""
    run = weights(tmp_path)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    status, said = called("export", run, "--to", form, "--out", f"{run}/../run")
    assert status and "Traceback" not in said
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


SMALL = [word for pair in ("encoder.size=16", 'data.crops={"whole": 1.0}') for word in ("--set", pair)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path, Path]:
    """The words that begin a training, its pictures, and its folder as a kill after the first state left it."""
    home = tmp_path_factory.mktemp("killed")
    faces, run = home / "faces", home / "run"
    write(faces)
    settings = ["optimiser.batch=8", "optimiser.presentations=2000", "run.save_seconds=0"]
    words = ["pretrain", "--objective", "mae", "--data", str(faces), *SMALL,
             *(word for pair in settings for word in ("--set", pair))]  # fmt: skip
    child = start([*words, "--out", run], home, environment={"PACO_CACHE": str(home / "cache")})
    while child.process.is_alive() and not list(run.glob("state-*.pt")):
        time.sleep(0.01)
    child.kill()
    status, said = child.ended()
    assert status == -signal.SIGKILL, said
    return words, faces, run


def test_a_killed_training_goes_on_only_on_its_own_pictures(killed, tmp_path):
    """It went on with other pictures, without a word, and ended as another run."""
    words, faces, run = killed
    write(faces, noise=True)
    status, said = called(*words, "--out", shutil.copytree(run, tmp_path / "run"), "--resume")
    write(faces)
    assert status and "files were added, removed, renamed or replaced" in said


def test_a_training_does_not_go_on_from_a_state_with_other_bits(killed, tmp_path):
    """One flipped bit was loaded without a word 145 times of 150."""
    words, _, run = killed
    for path in shutil.copytree(run, tmp_path / "run").glob("state-*.pt"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
    status, said = called(*words, "--out", tmp_path / "run", "--resume")
    assert status and "Traceback" not in said and "No state in" in said


@pytest.mark.parametrize("remedy", ["mended", "removed"])
def test_a_refused_pack_goes_on_once_its_pictures_are_mended(remedy, tmp_path):
    """Mended, the same refusal came for ever; removed, "packed with records 20, not 15"."""
    source = tmp_path / "photos"
    write(source, count=20)
    broken = sorted(source.rglob("*.bmp"))[:5]
    kept = [path.read_bytes() for path in broken]
    for path in broken:
        path.write_bytes(b"no picture")
    words = ("data", "pack", source, tmp_path / "packed", *SMALL)
    status, said = called(*words)
    assert status and "Mend or remove them" in said
    for path, content in zip(broken, kept, strict=True):
        path.write_bytes(content) if remedy == "mended" else path.unlink()
    status, said = called(*words)
    assert status == 0 and said.startswith(f"{20 if remedy == 'mended' else 15} pictures"), said


@pytest.mark.parametrize("command", ["embed", "export"])
def test_a_full_disk_is_one_line(command, faces, tmp_path):
    """It was a traceback."""
    words = ["pixels", faces] if command == "embed" else [weights(tmp_path), "--to", "half"]
    evaluate(faces, tmp_path / "out")  # so that the cache needs no room
    status, said = called(command, *words, "--out", tmp_path / "new.parquet", largest=2000)
    assert status and "Traceback" not in said and "Cannot write" in said


def test_what_is_written_is_forced_to_the_disk(faces, tmp_path, monkeypatch):
    """A rename without it leaves an empty file after a power cut."""
    real, synced = os.fsync, []
    monkeypatch.setattr(
        os,
        "fsync",
        lambda number: (synced.append(str(Path(f"/proc/self/fd/{number}").readlink())), real(number)),
    )
    measured("pixels", faces, tmp_path / "out")
    rows = str(tmp_path / "out" / "rows")
    assert rows in synced and any(path.startswith(f"{rows}/.") for path in synced)
