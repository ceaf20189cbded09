"""A row measured again: the answer follows the numbers, and what differs today is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from scipy import stats

import paco_eval
from paco_eval.cli import main
from paco_eval.encoders import load_encoder
from paco_eval.encoders.paco import retrain_command
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.experiments.explain.explain import explain_row
from paco_eval.experiments.repro import Reproduction, changed_fields, judge, reproduce, seed_interval
from paco_eval.rows.schema import Row
from paco_eval.rows.store import load_rows, read_items, read_row, write_row
from paco_fr.checkpoint import save_checkpoint
from paco_fr.config import load_recipe
from paco_fr.model.vit import build_encoder
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.registry import derived
from tests.fixtures.made_rows import make_row
from tests.paco_eval.conftest import blob_task
from tests.paco_fr.conftest import smooth_faces

POSE = blob_task("pose")
KNOWN = {POSE.name: POSE}


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the row of ``pixels`` on a small task."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACO_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("run")
        assert evaluate_all(["pixels"], [POSE], out=folder, say=quiet) == []
    (stored,) = load_rows(folder).rows
    return stored.path


def rewritten(path: Path, folder: Path, change: Callable[[Row], dict[str, object]]) -> Path:
    """Write the row with other fields and a digest that fits them, as someone who cheats well would."""
    row = read_row(path)
    fields = row.model_dump(by_alias=True, exclude={"key", "digest", "items_sha256"})
    return write_row(folder, Row.model_validate({**fields, **change(row)}), read_items(path))


def shifted(row: Row, share: float) -> dict[str, object]:
    """Return metrics whose main one is recorded off by a share of its interval's half width."""
    main = row.main
    assert main.value is not None and main.high is not None
    moved = main.model_copy(update={"value": main.value + share * (main.high - main.value)})
    return {"metrics": {**row.metrics, row.main_metric: moved}}


def flattering(row: Row) -> dict[str, object]:
    """Return metrics whose main one is a third of what was measured, with an interval to match."""
    value = row.main.value or 0.0
    third = {"value": 0.3 * value, "low": 0.2 * value, "high": 0.4 * value}
    return {"metrics": {**row.metrics, row.main_metric: row.main.model_copy(update=third)}}


def again(path: Path) -> Reproduction:
    found = reproduce(path, KNOWN, say=quiet)
    assert found is not None
    return found


def test_the_same_measurement_is_the_same(measured: Path) -> None:
    found = again(measured)
    assert found.answer == "same" and found.fields == {}
    assert found.numbers[0].name == "mae" and {n.answer for n in found.numbers} == {"same"}


def test_a_number_off_by_less_than_its_interval_lies_within_it(measured: Path, tmp_path: Path) -> None:
    found = again(rewritten(measured, tmp_path, lambda row: shifted(row, 0.5)))
    assert found.answer == "within interval" and found.numbers[0].answer == "within interval"


def test_a_doctored_row_is_different(measured: Path, tmp_path: Path) -> None:
    found = again(rewritten(measured, tmp_path, flattering))
    assert found.answer == "different" and [n.name for n in found.numbers if n.answer == "different"] == [
        "mae"
    ]


def test_a_doctored_lesser_metric_is_different_too(measured: Path, tmp_path: Path) -> None:
    def worse(row: Row) -> dict[str, object]:
        roll = row.metrics["mae_yaw"].model_copy(update={"value": 90.0, "low": 89.0, "high": 91.0})
        return {"metrics": {**row.metrics, "mae_yaw": roll}}

    assert again(rewritten(measured, tmp_path, worse)).answer == "different"


def test_fields_that_differ_are_listed(measured: Path, tmp_path: Path) -> None:
    def elsewhere(row: Row) -> dict[str, object]:
        return {
            "data_fingerprint": "0123456789abcdef", "commit": "f" * 40, "versions": {**row.versions, "torch": "1.0"},
            "hardware": {**row.hardware, "device": "cuda"}, "timings": {"extract": 99.0},
        }  # fmt: skip

    found = again(rewritten(measured, tmp_path, elsewhere))
    assert found.answer == "same", "the numbers are"
    assert set(found.fields) == {"data_fingerprint", "commit", "versions.torch", "hardware.device"}
    assert found.fields["data_fingerprint"] == ("0123456789abcdef", read_row(measured).data_fingerprint)


def test_another_task_version_is_another_score(measured: Path) -> None:
    found = reproduce(measured, {POSE.name: replace(POSE, version=2)}, say=quiet)
    assert found is not None and found.answer == "different" and found.fields["task_version"] == (1, 2)
    assert "task_version" in found.judged_by


def test_a_limit_and_a_crop_are_taken_from_the_protocol(tmp_path: Path) -> None:
    evaluate_all(["constant"], [POSE], Protocol(limit=6, crop="box"), out=tmp_path, say=quiet)
    (stored,) = load_rows(tmp_path).rows
    found = again(stored.path)
    assert found.recorded.protocol == "frozen, crop box, limit 6" and found.answer == "same"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"task": "pose/elsewhere"}, "not known here; declare it with --folder.*paco-eval evaluate"),
        ({"protocol": "frozen, fitted on people 0123"}, "give that folder as --train-identities"),
        ({"protocol": "invented"}, "cannot be measured again by this version"),
        ({"subset": "blurred"}, "no subset 'blurred' at level None any more"),
        ({"encoder": "pixles"}, "Did you mean pixels"),
        ({"repro": "retrain"}, "does not say how to train"),
        ({"repro": "retrain", "retrain": "paco-eval pretrain", "timings": {"pretrain": 720.0}},
         r"by: paco-eval pretrain \(0.2 hours when the row was made\).* --checkpoint FOLDER"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_says_why(
    measured: Path, tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    path = rewritten(measured, tmp_path, lambda _: changed)
    with pytest.raises(PacoError, match=said):
        reproduce(path, KNOWN, say=quiet)


def test_a_checkpoint_for_what_is_not_trained_is_refused(measured: Path, tmp_path: Path) -> None:
    with pytest.raises(PacoError, match="leave --checkpoint out"):
        reproduce(measured, KNOWN, checkpoint=tmp_path, say=quiet)


def test_data_that_is_not_there_is_told_before_anything_is_computed(measured: Path) -> None:
    away = replace(POSE, files=("BLOBS/list.txt",), obtain="Ask for it.")
    with pytest.raises(MissingDataError, match=r"BLOBS/list.txt not under --data-root.* Ask for it"):
        reproduce(measured, {POSE.name: away}, say=quiet)


def test_an_evaluation_that_fails_is_told(measured: Path) -> None:
    broken = replace(POSE, reader_options={"people": 2})
    with pytest.raises(PacoError, match=r"could not be measured again\. pose/blobs"):
        reproduce(measured, {POSE.name: broken}, say=quiet)


SMALL = {"encoder.size": 32, "encoder.dim": 24, "encoder.heads": 2, "encoder.depth": 1}


def checkpoint(folder: Path, seed: int, **changes: object) -> Path:
    """Write untrained weights as a checkpoint, as if that had been all the training."""
    config = load_recipe("tiny", {"seed": seed, **changes})
    torch.manual_seed(seed)
    whole = torch.nn.ModuleDict({"encoder": build_encoder(config.encoder)})
    folder.mkdir(parents=True)
    save_checkpoint(folder, whole, config, {"pretrain_seed": seed, "seconds": 360.0})
    return folder


def test_a_checkpoint_stands_in_for_weights_that_were_trained(tmp_path: Path) -> None:
    first, second = checkpoint(tmp_path / "a", 0, **SMALL), checkpoint(tmp_path / "b", 1, **SMALL)
    assert evaluate_all([f"paco:{first}"], [POSE], out=tmp_path, say=quiet) == []
    (stored,) = load_rows(tmp_path / "rows").rows
    assert stored.row.repro == "retrain"
    same = reproduce(stored.path, KNOWN, checkpoint=shutil.copytree(first, tmp_path / "copy"), say=quiet)
    assert same is not None and same.answer == "same" and set(same.fields) == {"encoder"}
    other = reproduce(stored.path, KNOWN, checkpoint=second, say=quiet)
    assert other is not None and other.numbers[0].answer != "same"
    assert {"encoder", "weight_hash", "pretrain_seed", "items_sha256"} <= set(other.fields)


def test_a_checkpoint_that_still_lies_where_the_row_says_is_measured(tmp_path: Path) -> None:
    """It was refused, with the command that trains it again, though the very weights were on the disk."""
    folder = checkpoint(tmp_path / "a", 0, **SMALL)
    assert evaluate_all([f"paco:{folder}"], [POSE], out=tmp_path, say=quiet) == []
    (stored,) = load_rows(tmp_path / "rows").rows
    found = reproduce(stored.path, KNOWN, say=quiet)
    assert found is not None and found.answer == "same" and found.fields == {}
    shutil.rmtree(folder)
    checkpoint(folder, 1, **SMALL)
    with pytest.raises(PacoError, match=r"holds other weights now.*--checkpoint FOLDER"):
        reproduce(stored.path, KNOWN, say=quiet)
    with pytest.raises(PacoError, match="holds other weights now"):  # whose faults are not those of the row
        explain_row(stored.path, KNOWN)


def test_rows_of_derived_tasks_are_measured_again(tmp_path: Path) -> None:
    """Of 7,894 stored rows 7,702 are of derived tasks, and none of these was known."""
    task = derived([POSE])["quality/pose/blobs"]
    assert evaluate_all(["constant"], [task], out=tmp_path, say=quiet) == []
    stored = next(s for s in load_rows(tmp_path / "rows").rows if s.row.level == 2)
    (tmp_path / "mine.py").write_text(TASKS)
    found = paco_eval.repro(stored.path, tasks_from=tmp_path / "mine.py", cached=True)
    assert found is not None and found.answer == "same" and found.recorded.level == 2


def test_own_pictures_are_found_where_the_row_says(tmp_path: Path) -> None:
    for kind in ("a", "b"):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for number, face in enumerate(smooth_faces(12, 32)):
            shade = face // 2 if kind == "a" else 255 - face // 2
            Image.fromarray(shade).save(tmp_path / "pictures" / kind / f"{number}.png")
    paco_eval.evaluate(
        ["pixels", "constant"], folder=[f"classes={tmp_path / 'pictures'}"], out=tmp_path / "out"
    )
    rows = load_rows(tmp_path / "out" / "rows").rows
    pixels = next(stored for stored in rows if stored.row.encoder == "pixels")
    found = reproduce(pixels.path, {}, say=quiet)
    assert found is not None and found.answer == "same"
    done = CliRunner().invoke(
        main, ["compare", str(tmp_path / "out"), "--baseline", "constant", "--format", "json"]
    )
    assert done.exit_code == 0, done.output
    (difference,) = json.loads(done.output)["differences"]
    assert (
        difference["encoder"] == "pixels"
        and difference["difference"] > 0
        and difference["metric"] == "accuracy"
    )
    alone = CliRunner().invoke(main, ["compare", str(pixels.path), "--format", "json"])
    assert alone.exit_code == 2 and "Nothing could be compared" in alone.output


MODULE = """import torch
from paco_eval import PixelContract
from paco_eval.api.evaluate import as_encoder

def made():
    torch.manual_seed(3)
    return as_encoder(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 8, 8)), PixelContract(32))
"""


def test_a_module_from_python_is_measured_again_by_what_makes_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MODULE)
    space: dict = {}
    exec(compile(MODULE, "own.py", "exec"), space)
    paco_eval.evaluate(space["made"](), [POSE], out=tmp_path / "out")
    (stored,) = load_rows(tmp_path / "out" / "rows").rows
    with pytest.raises(PacoError, match=r"was a module in Python.*--encoder-from"):
        reproduce(stored.path, KNOWN, say=quiet)
    found = reproduce(stored.path, KNOWN, encoder_from=f"{tmp_path / 'own.py'}:made", trust=True, say=quiet)
    assert found is not None and found.answer == "same" and "weight_hash" not in found.fields


def test_an_encoder_knows_the_command_that_trains_it(tmp_path: Path) -> None:
    facts = load_encoder(f"paco:{checkpoint(tmp_path / 'a', 2)}").facts  # type: ignore[attr-defined]
    assert facts["retrain"] == "paco-eval pretrain --recipe tiny --objective paco --seed 2"
    assert facts["pretrain_seconds"] == 360.0


def made(seed: int, value: float, **changed: object) -> Row:
    row, _ = make_row("paco-tiny", seed=seed, repro="retrain", pretrain_seed=seed)
    main = row.main.model_copy(update={"value": value, "low": value - 9, "high": value + 9})
    return row.model_copy(update={"metrics": {"mae": main}, **changed})


def test_the_seed_interval_is_the_prediction_interval_of_one_more() -> None:
    values = np.array([5.0, 5.3, 5.5, 5.1])
    low, high = seed_interval("mae", [made(seed, value) for seed, value in enumerate(values)])
    # Oracle: (x - mean) / (s sqrt(1 + 1/n)) follows Student's t with n - 1 degrees of freedom.
    scale = values.std(ddof=1) * np.sqrt(1 + 1 / 4)
    expected = stats.t(3, loc=values.mean(), scale=scale).interval(0.95)
    assert (low, high) == pytest.approx(expected)
    assert seed_interval("mae", [made(0, 5.0)]) == (None, None)


def test_retrained_weights_are_judged_by_the_seeds() -> None:
    seeds = [made(seed, value) for seed, value in enumerate((5.0, 5.3, 5.5))]
    assert judge(seeds[0], made(0, 5.9, weight_hash="f" * 16), seeds).answer == "within interval"
    far = judge(seeds[0], made(0, 9.0, weight_hash="f" * 16), seeds)
    assert far.answer == "different" and "3 seeds" in far.judged_by and "weight_hash" in far.fields
    alone = judge(seeds[0], made(0, 9.0, weight_hash="f" * 16), seeds[:1])
    assert alone.answer == "within interval" and "one seed" in alone.judged_by


def test_of_retrained_weights_the_main_metric_decides() -> None:
    first, second = made(0, 5.0), made(0, 5.0, weight_hash="f" * 16)
    other = first.main.model_copy(update={"value": 1.0, "low": 0.5, "high": 1.5})
    first = first.model_copy(update={"metrics": {**first.metrics, "geodesic": other}})
    found = judge(first, second)
    assert found.answer == "same" and found.numbers[1].answer == "different"


def test_small_differences_of_numbers_in_fields_do_not_count() -> None:
    row = made(0, 5.0)
    assert changed_fields(row, row.model_copy(update={"val_score": (row.val_score or 0) * (1 + 1e-9)})) == {}


def test_the_command_that_retrains_gives_the_same_configuration(tmp_path: Path) -> None:
    changes = {
        "objective": "mae",
        "seed": 3,
        "masking.ratio": 0.5,
        "data.crops": {"whole": 1.0},
        "name": "mine",
    }
    config = load_recipe("tiny", changes)
    words = retrain_command(config)
    assert words.startswith("paco-eval pretrain --recipe tiny --objective mae --seed 3")
    from paco_fr.config import set_fields

    parts = [word.strip("'") for word in words.split(" --set ")[1:]]
    named = {"objective": "mae", "seed": 3}
    assert load_recipe("tiny", {**set_fields(tuple(parts)), **named}).hash == config.hash
    assert "--set" not in retrain_command(load_recipe("tiny"))


TASKS = "from tests.paco_eval.conftest import blob_task\nTASK = blob_task('pose')\n"


def test_the_command_answers_with_its_status(measured: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TASKS)
    done = CliRunner().invoke(main, ["repro", str(measured), "--tasks-from", str(tmp_path / "mine.py")])
    assert done.exit_code == 0 and "same: pose/blobs  pixels" in done.output, done.output
    assert "No recorded field differs" in done.output
    path = rewritten(measured, tmp_path, lambda row: {**flattering(row), "commit": "other"})
    words = ["repro", str(path), "--tasks-from", str(tmp_path / "mine.py"), "--cached"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and "different" in done.output and "commit: recorded other, now" in done.output
    truncated = tmp_path / path.name
    shutil.copy(measured, truncated)
    truncated.write_text(json.dumps({**json.loads(truncated.read_text()), "n_scored": 3}))
    done = CliRunner().invoke(main, ["repro", str(truncated)])
    assert done.exit_code == 2 and "does not fit its digest" in done.output
