from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from paco_eval.cli import COMMANDS, main
from paco_eval.rows.store import load_rows
from tests.paco_fr.conftest import SMALL, smooth_faces

TASKS = """
from tests.paco_eval.conftest import blob_task
TASKS = {kind: blob_task(kind) for kind in ("pose", "landmarks")}
POSE, LANDMARKS = TASKS["pose"], TASKS["landmarks"]
"""


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def tasks_file(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(TASKS)
    return tmp_path / "mine.py"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Return a recipe for seconds on a folder of small pictures."""
    faces = tmp_path / "faces"
    faces.mkdir()
    for index, picture in enumerate(smooth_faces(24, 40)):
        Image.fromarray(picture).save(faces / f"{index}.png")
    lines = ['name = "seconds"']
    for section, fields in {**SMALL, "data": {"source": str(faces)}}.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in fields.items())]
    lines += ["[data.crops]", "whole = 1.0"]
    order = [line for line in lines if line != "[data]" and not line.startswith("source")]
    order.insert(order.index("[data.crops]"), f'[data]\nsource = "{faces}"')
    (tmp_path / "seconds.toml").write_text("\n".join(order))
    return tmp_path / "seconds.toml"


@pytest.mark.parametrize(
    "words", [["--help"], ["list", "tasks"], ["list", "encoders"], ["list", "recipes"], ["list", "datasets"]]
)
def test_help_and_lists_import_nothing_heavy(words):
    heavy = [
        "torch",
        "numpy",
        "pandas",
        "sklearn",
        "scipy",
        "datasets",
        "timm",
        "matplotlib",
        "pydantic",
        "pyarrow",
        "numba",
        "PIL",
    ]
    code = (
        "import sys\nfrom paco_eval.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_evaluation_loads_no_library_that_it_does_not_use(tasks_file, tmp_path):
    """A dry run compiled the renderer and loaded what computes tables; each took as long as all that it plans."""
    words = ["--tasks", "pose/blobs", "--tasks-from", str(tasks_file), "--out", str(tmp_path)]
    calls = [
        ["evaluate", "constant", "--tasks", "pose/synthetic", "--limit", "60", "--dry-run"],
        ["evaluate", "constant", *words],
    ]
    code = f"""
import sys
from paco_eval.cli import main
for words, unused in zip({calls!r}, (("numba", "scipy", "paco_eval.report", "paco_fr.synthetic.rendering"), ()), strict=True):
    try:
        main(words)
    except SystemExit as end:
        assert not end.code
    everywhere = ("torchvision", "timm", "torch._dynamo", "matplotlib", "jinja2", "paco_eval.report.plots")
    print([m for m in (*unused, *everywhere) if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    planned, *_, measured = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert (planned, measured) == ("[]", "[]")
    assert len(list((tmp_path / "rows").glob("*.json"))) == 1


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_explains_itself(command):
    result = call(command, "--help")
    assert result.exit_code == 0 and "Usage" in result.output
    assert command in call("--help").output


def test_lists_name_what_there_is():
    tasks = json.loads(call("list", "tasks", "--format", "json").output)
    names = {task["task"] for task in tasks}
    assert {"pose/synthetic", "recognition/london", "landmarks/london", "expression/synthetic"} <= names
    assert "tiny" in call("list", "recipes").output
    assert "paco:FOLDER" in call("list", "encoders").output
    assert "figshare" in call("list", "datasets", "london_set").output


def test_pretrain_evaluate_report_is_one_line(recipe, tasks_file, tmp_path):
    run = tmp_path / "run"
    result = call("pretrain", "--recipe", recipe, "--out", run / "pretrain" / "paco")
    assert result.exit_code == 0, result.output
    encoder = f"paco:{run / 'pretrain' / 'paco'}"
    result = call(
        "evaluate", encoder, "constant", "--tasks", "*/blobs", "--tasks-from", tasks_file, "--out", run
    )
    assert result.exit_code == 0, result.output
    assert result.output.count("pose/blobs") == 3 and "paco-eval report" in result.output
    assert "pose/blobs  constant: note that its features do not depend on the picture" in result.output
    result = call("report", run)
    assert result.exit_code == 0, result.output
    page = (run / "report" / "report.html").read_text()
    assert "pose/blobs" in page and "constant" in page
    assert (run / "report" / "tables.tex").exists() and (run / "report" / "tables.md").exists()


def test_dry_runs_write_nothing(recipe, tasks_file, tmp_path):
    out = tmp_path / "out"
    result = call("pretrain", "--recipe", recipe, "--out", out, "--dry-run")
    assert result.exit_code == 0 and "images/s" in result.output and not out.exists()
    result = call(
        "evaluate", "pixels", "--tasks", "*/blobs", "--tasks-from", tasks_file, "--out", out, "--dry-run"
    )
    assert result.exit_code == 0 and "pixels  pose/blobs v1" in result.output and not out.exists()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["evaluate", "pixels", "--tasks", "pose/syntetic"], 2, "Did you mean pose/synthetic"),
        (["evaluate", "pixles", "--tasks", "pose/synthetic", "--limit", "10"], 2, "Did you mean pixels"),
        (["evaluate", "pixels", "--tasks", "landmarks/london"], 3, "figshare"),
        (["evaluate", "pixels", "--tasks-from", "nowhere.py"], 2, "no such Python file"),
        (["evaluate", "pixels", "--sensitivity", "--crop", "box"], 2, "leave --crop out"),
        (["pretrain", "--recipe", "tini"], 2, "Did you mean tiny"),
        (["pretrain", "--set", "masking.ratio=1.5"], 2, "masking.ratio"),
        (["pretrain", "--set", "nonsense"], 2, "key=value"),
        (
            ["pretrain", "--data", "no/such/folder", "--dry-run", "--set", "encoder.size=63"],
            2,
            "not divisible",
        ),
        (["data", "describe", "no/such/folder"], 3, "does not exist"),
        (["data", "describe", "landmarks/london"], 3, "figshare"),
        (["report", "no/such/run"], 2, "no/such/run"),
        (["evaluate", "pixels", "constant", "--name", "mine", "--dry-run"], 2, "--name is for one encoder"),
        (
            [
                "evaluate",
                "pixels",
                "--tasks",
                "pose/synthetic",
                "--protocol",
                "few-shot",
                "--shots",
                "0",
                "--jobs",
                "local",
            ],
            2,
            "--shots 0",
        ),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_wrong_calls_end_with_a_line_and_their_status(words, status, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PACO_DATA", raising=False)
    result = call(*words)
    assert result.exit_code == status, result.output
    assert message in result.output
    assert "Traceback" not in result.output and len(result.output.strip().splitlines()) <= 8


def test_the_command_of_a_row_asks_for_that_row(tasks_file, tmp_path):
    where = ["--tasks-from", tasks_file, "--out", tmp_path / "out", "--device", "cpu", "--seeds", "1"]
    asked = [
        "--protocol",
        "few-shot",
        "--shots",
        "50%",
        "--crop",
        "whole",
        "--limit",
        "20",
        "--precision",
        "bfloat16",
    ]
    first = call("evaluate", "random:tiny", "--tasks", "pose/blobs", *where, *asked)
    (stored,) = load_rows(tmp_path / "out").rows
    assert first.exit_code == 0 and stored.row.protocol == "few-shot 50%, crop whole, limit 20, bfloat16"
    again = call(*shlex.split(stored.row.command)[1:], *where)
    assert again.exit_code == 0 and "already measured" in again.output


def test_tasks_met_by_a_pattern_without_data_are_skipped_and_told(tasks_file, tmp_path, monkeypatch):
    monkeypatch.delenv("PACO_DATA", raising=False)
    result = call(
        "evaluate",
        "constant",
        "--tasks",
        "landmarks/london,pose/blobs",
        "--tasks-from",
        tasks_file,
        "--out",
        tmp_path / "a",
    )
    assert result.exit_code == 3 and len(list((tmp_path / "a" / "rows").glob("*.json"))) == 1
    result = call(
        "evaluate",
        "constant",
        "--tasks",
        "*/london,pose/blobs",
        "--tasks-from",
        tasks_file,
        "--out",
        tmp_path / "b",
    )
    assert result.exit_code == 0 and "Skipped landmarks/london" in result.output


def test_a_failed_cell_gives_status_one_and_keeps_the_others(tasks_file, tmp_path):
    tasks_file.write_text(
        "from dataclasses import replace\nfrom tests.paco_eval.conftest import blob_task\n"
        'POSE = blob_task("pose")\nBAD = replace(POSE, name="pose/bad", reader_options={"people": 2})\n'
    )
    result = call(
        "evaluate", "constant", "--tasks", "pose/b*", "--tasks-from", tasks_file, "--out", tmp_path / "out"
    )
    assert result.exit_code == 1 and "pose/bad" in result.output
    assert len(list((tmp_path / "out" / "rows").glob("*.json"))) == 1


def test_a_bug_in_an_encoder_of_ones_own_gives_status_one_and_a_summary_without_traceback(
    tasks_file, tmp_path
):
    (tmp_path / "own.py").write_text(
        "from paco_eval.encoders.baselines import Pixels\n"
        "class Own(Pixels):\n    def tokens(self, images, blocks):\n        return images.missing\n"
    )
    words = ["evaluate", "constant", "--encoder-from", f"{tmp_path / 'own.py'}:Own", "--trust", "--tasks", "pose/blobs",
             "--tasks-from", tasks_file, "--out", tmp_path / "out"]  # fmt: skip
    result = call(*words)
    assert result.exit_code == 1 and "Failed cells: 1" in result.output and "Traceback" not in result.output
    assert "AttributeError: 'Tensor' object has no attribute 'missing'" in result.output
    assert "return images.missing" in (tmp_path / "out" / "errors.log").read_text()
    assert len(list((tmp_path / "out" / "rows").glob("*.json"))) == 1
    planned = call(*words, "--dry-run")
    assert planned.exit_code == 0 and "no attribute 'missing'" in planned.output
    assert "constant  pose/blobs v1  frozen  60 pictures" in planned.output


def test_describe_draws_what_is_there(tmp_path):
    faces = tmp_path / "faces"
    faces.mkdir()
    for index, picture in enumerate(smooth_faces(6, 40)):
        Image.fromarray(picture).save(faces / f"{index}.png")
    (faces / "broken.png").write_bytes(b"\x89PNG")
    result = call("data", "describe", faces, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    folder = next((tmp_path / "out").iterdir())
    summary = (folder / "summary.md").read_text()
    assert "pictures: 7" in summary and "could not be read" in summary and "broken.png" in summary
    assert Image.open(folder / "faces.png").size[0] > 800


def test_an_output_folder_that_cannot_be_written(tasks_file, tmp_path):
    (tmp_path / "file").write_text("no folder")
    result = call(
        "evaluate",
        "constant",
        "--tasks",
        "pose/blobs",
        "--tasks-from",
        tasks_file,
        "--out",
        tmp_path / "file" / "out",
    )
    assert result.exit_code == 2 and "Cannot write" in result.output
