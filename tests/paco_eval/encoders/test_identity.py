"""An encoder is what it computes: networks with equal tensors share nothing, the same network shares all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import paco_eval
from paco_eval.api.evaluate import as_encoder
from paco_eval.encoders import _identity, load_encoder
from paco_eval.encoders._identity import identified, probe_pictures, probed
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.rows.store import load_rows
from paco_fr.contracts import PixelContract, content_hash
from tests.paco_eval.conftest import blob_task

PIXELS = PixelContract(size=32)
TASK = blob_task("classification")


class Zeros(nn.Module):
    def forward(self, values):
        return values * 0


class Pooled(nn.Module):
    """A convolution pooled in some way, which no tensor tells."""

    def __init__(self, conv: nn.Module, how: str) -> None:
        super().__init__()
        self.conv, self.how = conv, how

    def forward(self, images):
        return getattr(self.conv(images).flatten(2), {"mean": "mean", "max": "amax"}[self.how])(-1)


def conv(stride: int = 16, padding: int = 0) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(3, 32, 16, stride, padding)


def normed(eps: float) -> nn.Module:
    return nn.Sequential(conv(), nn.Flatten(2), nn.LayerNorm(4, eps=eps))


class Shift(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, images):
        return nn.functional.avg_pool2d(images, 8).flatten(1) + self.by


def score(module: nn.Module, out: Path, **options):
    return paco_eval.evaluate([module], tasks=[TASK], pixels=PIXELS, out=out, **options).frame


@pytest.mark.parametrize("pair", [
    (lambda: nn.Sequential(conv(), nn.GELU()), lambda: nn.Sequential(conv(), Zeros())),
    (lambda: Pooled(conv(), "mean"), lambda: Pooled(conv(), "max")),
    (lambda: conv(16), lambda: conv(8, 4)),
    (lambda: normed(1e-6), lambda: normed(1.0)),
    (lambda: Shift(0.0), lambda: Shift(1.0)),
])  # fmt: skip
def test_networks_with_equal_tensors_are_told_apart_and_one_network_is_not(pair):
    """Equal tensors gave equal hashes whatever was computed with them."""
    hashes = [as_encoder(make(), PIXELS).weight_hash for make in (*pair, *pair)]
    assert hashes[:2] == hashes[2:] and len(set(hashes)) == 2


def test_another_network_with_the_same_tensors_gets_no_features_choices_or_rows_of_the_first(tmp_path):
    """The second network got the first one's cached features, choice and score."""
    first = score(nn.Sequential(conv(), nn.GELU()), tmp_path / "a")
    second = score(nn.Sequential(conv(), Zeros()), tmp_path / "a")
    assert len(load_rows(tmp_path / "a").rows) == 2
    assert set(first["weight_hash"]).isdisjoint(second["weight_hash"])
    (row,) = [one.row for one in load_rows(tmp_path / "a").rows if one.row.chosen.get("constant")]
    assert "do not depend on the picture" in str(row.chosen["constant"])
    assert row.main.value < max(one.row.main.value for one in load_rows(tmp_path / "a").rows)


def test_float_noise_keeps_the_identity_and_more_does_not():
    """A hash that noise renames would measure everything again on each machine."""
    own = as_encoder(nn.Sequential(conv(), nn.GELU()), PIXELS)
    told, stated = own.identity, content_hash("stated")
    first = _identity._named(own, _with(told, stated, 0), True)
    for noise in (1e-6, 1e-4, 2e-3):  # across whatever boundary of a class lies near
        assert _identity._named(own, _with(told, stated, noise), True).weight_hash == first.weight_hash
    assert _identity._named(own, _with(told, stated, 3e-2), True).weight_hash != first.weight_hash


def _with(told, stated, noise):
    rng = np.random.default_rng(0)
    numbers = tuple((np.array(told.numbers) + noise * rng.uniform(-1, 1, len(told.numbers))).tolist())
    return _identity.replace(told, weight_hash=stated, numbers=numbers)


def test_shipped_encoders_keep_the_hash_of_their_tensors_and_are_probed_once(monkeypatch):
    """Their rows are found by it; what the probe told is remembered with tensors and structure."""
    first = load_encoder("paco-tiny")
    assert first.weight_hash == _identity_hash(first)
    monkeypatch.setattr(_identity, "probed", lambda _: pytest.fail("probed again"))
    assert load_encoder("paco-tiny").identity == first.identity


def _identity_hash(encoder) -> str:
    from paco_fr.checkpoint import weight_hash

    return weight_hash(encoder.model)


def test_another_activation_of_a_shipped_network_is_another_network():
    """Settings of a transformer are no tensors: its hash was that of the original."""
    from paco_eval.encoders.timm import TimmEncoder

    own = load_encoder("paco-tiny")
    other = load_encoder("paco-tiny").model
    for block in other.blocks:
        block.mlp.act = nn.ReLU()
    assert identified(TimmEncoder("other", other, own.pixels)).weight_hash != own.weight_hash


FILE = """
import sys
import torch
from paco_fr.contracts import PixelContract, Tokens

class Own:
    name, pixels, weight_hash = "own", PixelContract(size=16), "0" * 16
    blocks, default_block, reductions = ("a",), "a", ("flat",)
    required_crop, adapter_version, parameters = None, 1, 1

    def tokens(self, images, blocks):
        values = images.mean((2, 3))[:, None]
        return {{block: Tokens({values}) for block in blocks}}
"""


def written(folder: Path, values: str) -> str:
    path = folder / f"own{abs(hash(values))}.py"
    path.write_text(FILE.format(values=values))
    return f"file:{path}:Own"


def failures(folder: Path, values: str, **options) -> list[str]:
    encoder = load_encoder(written(folder, values), trust=True)
    return evaluate_all([encoder], [TASK], out=folder / "out", say=lambda _: None, **options)


def test_code_from_a_file_is_told_apart_whatever_weight_hash_it_states(tmp_path):
    """A user's weight_hash was believed."""
    one, other = (
        load_encoder(written(tmp_path, values), trust=True) for values in ("values", "values.square()")
    )
    assert one.weight_hash != other.weight_hash and "0" * 16 not in (one.weight_hash, other.weight_hash)


@pytest.mark.parametrize(("values", "expected"), [
    ("torch.cat([values, values[:1]])", "(2, 1, 3), expected (1, N, D)"),
    ("values[:-1]", "(0, 1, 3), expected (1, N, D)"),
    ("values[:, 0]", "(1, 3), expected (1, N, D)"),
    ("values.to(torch.int64)", "torch.int64"),
    ("values, values", "expected (1, D)"),
    ("sys.exit(0)", "tried to end the process (exit 0)"),
    ("values + torch.rand_like(values)", "the second time"),
    ("values - values.mean(0)", "a picture alone"),
])  # fmt: skip
def test_unfit_features_are_refused_in_words_and_the_run_goes_on(tmp_path, values, expected):
    """One feature too many or too few, another rank, chance, dependence on the batch and sys.exit(0) became scores, or
    ended the run without a row."""
    (said,) = failures(tmp_path, values)
    assert expected in said and said.startswith("classification/blobs  own: ")
    assert load_rows(tmp_path / "out").rows == []


def test_chance_can_be_allowed_and_is_marked(tmp_path):
    assert failures(tmp_path, "values + torch.rand_like(values)", allow_random=True) == []
    (stored,) = load_rows(tmp_path / "out").rows
    assert "chance" in str(stored.row.chosen["random"])


@pytest.mark.parametrize(
    "late", ["torch.cat([values, values[:1]])", "torch.cat([values, values], -1)", "sys.exit(0)"]
)
def test_what_only_large_batches_spoil_is_refused_where_features_arrive(tmp_path, late):
    """The probe cannot see all; shape and width are held where each batch arrives, and an exit is an error."""
    (said,) = failures(tmp_path, f"values if len(images) < 20 else {late}")
    assert "block a gives" in said or "tried to end the process" in said
    assert load_rows(tmp_path / "out").rows == []


def test_the_probe_is_the_same_everywhere_and_of_different_kinds():
    pictures = probe_pictures(24)
    assert pictures.shape == (8, 24, 24, 3) and np.array_equal(pictures, probe_pictures(24))
    assert len({picture.tobytes() for picture in pictures}) == 8
    assert pictures[6].max() == 0 and pictures[7].min() == 255


def test_the_probe_leaves_the_random_state_alone():
    encoder = as_encoder(nn.Sequential(conv(), nn.Dropout()), PIXELS)
    dropout = nn.Dropout().train()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    encoder.function = lambda images: dropout(images.mean((2, 3)))
    assert probed(encoder).chance
    assert torch.rand(1) == expected


def test_tensors_that_lie_beside_an_onnx_file_count(tmp_path):
    """A ``.data`` file exchanged under the same ``.onnx`` left the hash as it was."""
    onnx = pytest.importorskip("onnx")
    from paco_eval.encoders.onnx import _files_hash

    def saved(value: float) -> str:
        weights = onnx.numpy_helper.from_array(np.full((300, 3), value, dtype=np.float32), "w")
        graph = onnx.helper.make_graph([], "g", [], [], [weights])
        model = onnx.helper.make_model(graph)
        for left in tmp_path.glob("a.*"):
            left.unlink()
        onnx.save_model(
            model, str(tmp_path / "a.onnx"), save_as_external_data=True, location="a.data", size_threshold=0
        )
        return _files_hash(tmp_path / "a.onnx")

    assert saved(1.0) == saved(1.0) != saved(2.0)
