"""Weights as people re-save them: wrappers, prefixes, numpy scalars and paths beside tensors, either format."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from paco_eval.encoders import load_encoder
from paco_eval.encoders._state import PREFIXES, WRAPPERS
from paco_fr.utils.errors import PacoError
from tests.fixtures.published import farl_state, mae_state, mcf_state

STATES = {"mae": mae_state, "farl": farl_state, "mcf": mcf_state}


@pytest.fixture(scope="module")
def hashes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    found = {}
    for scheme, state in STATES.items():
        torch.save(state(), folder / f"{scheme}.pth")
        found[scheme] = load_encoder(f"{scheme}:{folder / scheme}.pth").weight_hash
    return found


def same(scheme, saved, tmp_path, hashes):
    torch.save(saved, tmp_path / "saved.pth")
    return load_encoder(f"{scheme}:{tmp_path / 'saved.pth'}").weight_hash == hashes[scheme]


@pytest.mark.parametrize("scheme", STATES)
@pytest.mark.parametrize(
    "prefix", [*PREFIXES, "module.module.", "_orig_mod.module.model.", "net.encoder.vit."]
)
def test_prefixes_of_wrappers_are_taken_off_in_both_formats(scheme, prefix, tmp_path, hashes):
    """Prefixes other than one `module.` were refused, and in safetensors even that one was not taken off."""
    state = {prefix + name: tensor for name, tensor in STATES[scheme]().items()}
    assert same(scheme, {"state_dict": state}, tmp_path, hashes)
    save_file(state, tmp_path / "saved.safetensors")
    assert load_encoder(f"{scheme}:{tmp_path / 'saved.safetensors'}").weight_hash == hashes[scheme]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_are_opened_twice_over(wrapper, tmp_path, hashes):
    """Tensors under `model_ema`, `net`, `model_state` and the like, or nested, were said not to be there."""
    assert same("mae", {wrapper: mae_state(), "epoch": 3, "optimizer": {"state": {}}}, tmp_path, hashes)
    assert same("mae", {wrapper: {"model": mae_state()}}, tmp_path, hashes)
    assert same("mae", {"checkpoint": 1, "state_dict": {wrapper: mae_state()}}, tmp_path, hashes)


def test_averaged_weights_come_before_the_last_ones(tmp_path, hashes):
    last = {name: tensor + 1 for name, tensor in mae_state().items()}
    assert same("mae", {"model": last, "model_ema": mae_state()}, tmp_path, hashes)
    assert not same("mae", {"model": last}, tmp_path, hashes)


def test_parts_of_the_pretraining_beside_the_encoder_are_left_out(tmp_path, hashes):
    """MoCo v3's layout: the encoder beside its momentum copy and the predictor."""
    state = {f"module.base_encoder.{name}": tensor for name, tensor in mae_state().items()}
    state |= {f"module.momentum_encoder.{name}": tensor + 1 for name, tensor in mae_state().items()}
    assert same(
        "mae", {"state_dict": state | {"module.predictor.0.weight": torch.ones(2, 2)}}, tmp_path, hashes
    )


def test_plain_things_beside_tensors_are_no_reason_to_refuse(tmp_path, hashes):
    """Numpy scalars and paths beside tensors were refused as if they were code."""
    beside = {"best": np.float64(0.3), "curve": np.arange(4.0), "single": np.float32(1), "where": Path("/nowhere"),
              "when": datetime(2024, 1, 1), "counts": defaultdict(int, {"a": 1}), "names": {"a", "b"}}  # fmt: skip
    assert same("mae", {"model": mae_state(), **beside}, tmp_path, hashes)
    torch.save({"model": mae_state(), **beside}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert load_encoder(f"mae:{tmp_path / 'old.pth'}").weight_hash == hashes["mae"]


class Hidden:
    """A thing that runs code when it is unpickled by whoever runs it."""

    def __init__(self, function, *arguments):
        self.made = function, arguments

    def __reduce__(self):
        return self.made


def test_nothing_in_a_file_runs(tmp_path):
    ran = tmp_path / "ran"
    for function, arguments in ((Path.touch, (ran,)), (exec, (f"open({str(ran)!r}, 'w')",)), (eval, ("1",)),
                                (np.fromfile, (str(ran),)), (np.load, (str(ran),))):  # fmt: skip
        torch.save({"model": mae_state(), "a": Hidden(function, *arguments)}, tmp_path / "evil.pth")
        with pytest.raises(PacoError, match="is not unpickled: beside tensors and plain values it holds"):
            load_encoder(f"mae:{tmp_path / 'evil.pth'}")
        assert not ran.exists()
