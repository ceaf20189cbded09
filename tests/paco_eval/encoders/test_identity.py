"""An encoder is what it computes: networks with equal tensors share nothing, the same network shares all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import paco_eval
from paco_eval.api.evaluate import as_encoder
from paco_eval.encoders import _identity, load_encoder
from paco_eval.encoders._identity import Network, identified, recognise
from paco_eval.encoders._probe import probe_pictures, probed
from paco_eval.encoders._weights import read_tensors
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.rows.store import load_rows
from paco_fr.contracts import PixelContract
from paco_fr.utils.errors import PacoError
from tests.fixtures.own_encoder import own_encoder
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


def _with(encoder, noise):
    rng = np.random.default_rng(0)
    told = encoder.identity
    numbers = tuple((np.array(told.numbers) + noise * rng.uniform(-1, 1, len(told.numbers))).tolist())
    return _identity.replace(told, numbers=numbers)


def _row_of(encoder) -> Network:
    told = encoder.identity
    return Network(
        encoder.weight_hash, told.stated, told.structure, encoder.pixels.hash, _identity.probe_of(encoder)
    )


def test_float_noise_keeps_the_identity_and_more_does_not(monkeypatch, tmp_path):
    """A hash that noise renames would measure everything again on each machine: a cache or a row that knows the network
    gives it its hash on whatever side of a class its numbers fall."""
    own = as_encoder(nn.Sequential(conv(), nn.GELU()), PIXELS)
    first, row = own.weight_hash, _row_of(own)
    for noise in (1e-6, 1e-4, 1.9e-3):
        told = _with(own, noise)
        assert _identity._named(told, _identity._kept(own, told), own).weight_hash == first
        assert _identity._named(told, [row], own).weight_hash == first
    far = _with(own, 2e-2)
    assert _identity._named(far, _identity._kept(own, far), own).weight_hash != first
    assert _identity._named(far, [row], own).weight_hash != first


def test_most_networks_keep_their_identity_on_a_machine_that_knows_nothing():
    """Noise of another machine, and no cache or row of the first."""
    own = as_encoder(nn.Sequential(conv(), nn.GELU()), PIXELS)
    moved = sum(
        _identity._named(_identity.replace(_with(own, 1e-5), structure=str(at)), [], own).weight_hash
        != _identity._named(_identity.replace(own.identity, structure=str(at)), [], own).weight_hash
        for at in range(3)
    )
    assert moved == 0


def test_the_identity_does_not_depend_on_threads_or_on_the_precision_of_a_run(monkeypatch, tmp_path):
    from paco_eval.features.forward import set_up

    before = torch.get_num_threads()
    known = set_up(load_encoder("paco-tiny"), "bfloat16").weight_hash
    for threads in (1, 2):
        monkeypatch.setenv("PACO_CACHE", str(tmp_path / str(threads)))
        torch.set_num_threads(threads)
        try:
            assert load_encoder("paco-tiny").weight_hash == known
        finally:
            torch.set_num_threads(before)


def test_a_row_tells_another_network_from_its_own_where_the_cache_is_empty(monkeypatch, tmp_path):
    """Rows did not say what the probe told: with a new cache, a network that differs by less than a class was
    "already measured", and a hook on a shipped one always was."""
    own = load_encoder("paco-tiny")
    row = _row_of(own)
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    other = load_encoder("paco-tiny")
    other.model.blocks[-1].register_forward_hook(lambda _, __, out: out + 0.05 * out.roll(1, -1))
    again = identified(other)
    recognise(again, [row])
    assert again.weight_hash != row.weight_hash
    same = load_encoder("paco-tiny")
    recognise(same, [row])
    assert same.weight_hash == row.weight_hash


def test_rows_hold_the_probe_and_what_it_is_joined_with(tmp_path):
    own = load_encoder("constant")
    assert evaluate_all([own], [TASK], out=tmp_path, say=lambda _: None) == []
    (stored,) = load_rows(tmp_path).rows
    assert stored.row.network == {"stated": own.identity.stated, "structure": ""}
    assert stored.row.probe == _identity.probe_of(own) and stored.row.weight_hash == own.weight_hash


def test_shipped_encoders_are_probed_once_and_say_the_hash_of_their_tensors(monkeypatch):
    """What the probe told is remembered with tensors and structure."""
    first = load_encoder("paco-tiny")
    assert first.identity.stated == _identity_hash(first) != first.weight_hash
    monkeypatch.setattr(_identity, "probed", lambda _: pytest.fail("probed again"))
    assert load_encoder("paco-tiny").identity == first.identity


def _identity_hash(encoder) -> str:
    from paco_fr.checkpoint import weight_hash

    return weight_hash(encoder.model)


def test_an_encoder_that_was_changed_after_it_was_loaded_is_another():
    """What was found when it was loaded was believed for ever."""
    own = load_encoder("paco-tiny")
    before = own.weight_hash
    with torch.no_grad():
        own.model.patch_embed.proj.weight.mul_(1.5)
    assert as_encoder(own).weight_hash != before


def test_another_activation_of_a_shipped_network_is_another_network():
    """Settings of a transformer are no tensors: its hash was that of the original."""
    from paco_eval.encoders.timm import TimmEncoder

    own = load_encoder("paco-tiny")
    other = load_encoder("paco-tiny").model
    for block in other.blocks:
        block.mlp.act = nn.ReLU()
    assert identified(TimmEncoder("other", other, own.pixels)).weight_hash != own.weight_hash


def failures(folder: Path, values: str, **options) -> list[str]:
    encoder = load_encoder("file:" + own_encoder(folder, values), trust=True)
    return evaluate_all([encoder], [TASK], out=folder / "out", say=lambda _: None, **options)


def test_code_from_a_file_is_told_apart_whatever_weight_hash_it_states(tmp_path):
    """A user's weight_hash was believed."""
    one, other = (
        load_encoder("file:" + own_encoder(tmp_path, values), trust=True)
        for values in ("values", "values.square()")
    )
    assert one.weight_hash != other.weight_hash and "0" * 16 not in (one.weight_hash, other.weight_hash)


@pytest.mark.parametrize(("values", "expected"), [
    ("torch.cat([values, values[:1]])", "(2, 1, 3), expected (1, N, D)"),
    ("values[:-1]", "(0, 1, 3), expected (1, N, D)"),
    ("values / 0", "not finite for 6 of 6"),
    ("values + images.mul_(0.5).mean()", "writes to the pictures"),
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


def with_data(folder: Path, value: float, *, inside: bool = False) -> Path:
    """Write an ONNX file whose tensors lie in a file beside it, in a graph of a node where ``inside``."""
    onnx = pytest.importorskip("onnx")
    help_ = onnx.helper
    weights = onnx.numpy_helper.from_array(np.full((1, 3, 1, 1), value, np.float32), "w")
    take = help_.make_node("Mul", ["images", "w"], ["inner"])
    outer = help_.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)
    if inside:
        part = help_.make_graph([take], "p", [], [help_.make_tensor_value_info("inner", 1, None)], [weights])
        true = help_.make_node("Constant", [], ["yes"], value=onnx.numpy_helper.from_array(np.array(True)))
        nodes, kept = [true, help_.make_node("If", ["yes"], ["all"], then_branch=part, else_branch=part)], []
    else:
        nodes, kept = [help_.make_node("Mul", ["images", "w"], ["all"])], [weights]
    nodes.append(help_.make_node("ReduceMean", ["all"], ["out"], axes=[2, 3], keepdims=0))
    images = help_.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["n", 3, 16, 16])
    model = help_.make_model(
        help_.make_graph(nodes, "g", [images], [outer], kept),
        opset_imports=[help_.make_opsetid("", 13)], ir_version=8,
    )  # fmt: skip
    for left in folder.glob("a.*"):
        left.unlink()
    onnx.save_model(
        model, str(folder / "a.onnx"), save_as_external_data=True, location="a.data", size_threshold=0
    )
    return folder / "a.onnx"


@pytest.mark.parametrize("inside", [False, True])
def test_tensors_that_lie_beside_an_onnx_file_count(tmp_path, inside):
    """A ``.data`` file exchanged under the same ``.onnx`` left the hash as it was; in a graph of a node it went unread."""
    from paco_eval.encoders._weights import files_hash
    from paco_eval.encoders.onnx import tensor_files

    def told(value: float) -> str:
        path = with_data(tmp_path, value, inside=inside)
        assert [each.name for each in tensor_files(path)] == ["a.data"]
        return files_hash(path, *tensor_files(path))

    assert told(1.0) == told(1.0) != told(2.0)


def test_an_exchanged_data_file_is_another_network(tmp_path):
    options = "?channels=RGB&range=0,1"
    before = load_encoder(f"onnx:{with_data(tmp_path, 1.0)}{options}").weight_hash
    own = (tmp_path / "a.data").read_bytes()
    (tmp_path / "a.data").write_bytes(np.full(3, 2.5, np.float32).tobytes() + own[12:])
    assert load_encoder(f"onnx:{tmp_path / 'a.onnx'}{options}").weight_hash != before


@pytest.mark.parametrize("case", ["missing", "cut", "up", "absolute"])
def test_data_beside_an_onnx_file_that_is_missing_cut_or_elsewhere_is_refused_in_words(tmp_path, case):
    onnx = pytest.importorskip("onnx")
    path = with_data(tmp_path, 1.0)
    if case == "missing":
        (tmp_path / "a.data").unlink()
    elif case == "cut":
        (tmp_path / "a.data").write_bytes(b"1234")
    else:
        elsewhere = tmp_path.parent / "outside.data"
        elsewhere.write_bytes((tmp_path / "a.data").read_bytes())
        model = onnx.load(str(path), load_external_data=False)
        (place,) = [one for one in model.graph.initializer[0].external_data if one.key == "location"]
        place.value = "../outside.data" if case == "up" else str(elsewhere)
        path.write_bytes(model.SerializeToString())
    expected = {"missing": "which is not there", "cut": "needs 12"}.get(case, "leads out of its folder")
    with pytest.raises(PacoError, match=expected):
        load_encoder(f"onnx:{path}?channels=RGB&range=0,1")


def in_parts(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """Write the tensors of a small ViT as two parts with an index."""
    from safetensors.torch import save_file

    tensors = {f"w{at}": torch.full((2,), float(at)) for at in range(4)}
    parts = [f"m-0000{at}-of-00002.safetensors" for at in (1, 2)]
    for at, name in enumerate(parts):
        save_file({key: tensors[key] for key in list(tensors)[2 * at : 2 * at + 2]}, folder / name)
    index = folder / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {key: parts[at // 2] for at, key in enumerate(tensors)}}))
    return index, tensors


def test_all_parts_of_a_network_count(tmp_path):
    """An index of parts was no file of weights, and one part alone was read as a whole network."""
    index, tensors = in_parts(tmp_path)
    found = read_tensors(index)
    assert found.keys() == tensors.keys() and all(torch.equal(found[key], tensors[key]) for key in tensors)
    with pytest.raises(PacoError, match="one of 2 parts"):
        read_tensors(tmp_path / "m-00001-of-00002.safetensors")


@pytest.mark.parametrize(("change", "expected"), [
    (lambda folder: (folder / "m-00002-of-00002.safetensors").unlink(), "not there"),
    (lambda folder: (folder / "m-00002-of-00002.safetensors").write_bytes(
        (folder / "m-00001-of-00002.safetensors").read_bytes()), "unlike"),
    (lambda folder: (folder / "m.safetensors.index.json").write_text(
        '{"weight_map": {"w0": "../m-00001-of-00002.safetensors"}}'), "leads out of its folder"),
    (lambda folder: (folder / "m.safetensors.index.json").write_text('{"weight_map": ["w0"]}'), "no weight_map"),
])  # fmt: skip
def test_parts_that_are_missing_exchanged_or_elsewhere_are_refused_in_words(tmp_path, change, expected):
    index, _ = in_parts(tmp_path)
    change(tmp_path)
    with pytest.raises(PacoError, match=expected):
        read_tensors(index)
