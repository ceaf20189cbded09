"""Whitening against the plain formula and scikit-learn's covariance shrinkage."""

import numpy as np
import pytest
from sklearn.covariance import ShrunkCovariance
from sklearn.preprocessing import StandardScaler

from paco_eval.probes.solvers import SOLVERS, load_solver
from paco_eval.probes.solvers.whitening import fit
from paco_fr.utils.errors import PacoError


def data(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 2, np.arange(n) // 3


def cosines(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T


@pytest.mark.parametrize("shape", [(90, 8), (12, 30)])
@pytest.mark.parametrize("shrinkage", [0.7, 0.1, 0.01])
@pytest.mark.parametrize("within", [False, True])
def test_against_the_plain_formula(shape, shrinkage, within):
    x, person = data(*shape)
    new, _ = data(7, shape[1], seed=1)
    scaler = StandardScaler().fit(x)
    standard = scaler.transform(x)
    centre = np.stack([standard[person == p].mean(axis=0) for p in person]) if within else 0.0
    covariance = (
        ShrunkCovariance(shrinkage=shrinkage, assume_centered=True).fit(standard - centre).covariance_
    )
    whitened = scaler.transform(new) @ np.linalg.cholesky(np.linalg.inv(covariance))
    found = fit(x, person).outputs(new, f"{'within' if within else 'total'}:{shrinkage:g}")
    np.testing.assert_allclose(found @ found.T, cosines(whitened), atol=1e-8)


def test_no_whitening_and_only_standardising_are_choices():
    x, person = data(60, 9)
    path = fit(x, person)
    np.testing.assert_allclose(path.outputs(x, "raw") @ path.outputs(x, "raw").T, cosines(x))
    only = path.outputs(x, "total:1")
    np.testing.assert_allclose(only @ only.T, cosines(StandardScaler().fit_transform(x)))


def test_all_outputs_are_the_single_ones():
    x, person = data(20, 30)
    path = fit(x, person)
    for strength, found in zip(path.strengths, path.all_outputs(x), strict=True):
        np.testing.assert_array_equal(found, path.outputs(x, strength))
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)


def test_within_needs_people_with_two_pictures():
    x, person = data(20, 5)
    assert any(s.startswith("within") for s in fit(x, person).strengths)
    assert not any(s.startswith("within") for s in fit(x).strengths)
    assert not any(s.startswith("within") for s in fit(x, np.arange(20)).strengths)
    assert not any(s.startswith("within") for s in fit(np.repeat(x, 2, axis=0), np.arange(40) // 2).strengths)


def test_constant_features_give_zeros_not_nan():
    path = fit(np.ones((6, 3)), np.arange(6) // 2)
    assert not path.outputs(np.ones((2, 3)), "total:0.1").any()


def test_bad_input_is_named():
    x, person = data(20, 5)
    with pytest.raises(PacoError, match="identity codes of shape"):
        fit(x, person[:3])
    with pytest.raises(PacoError, match=r"no choice 'total:0\.3333'"):
        fit(x, person).outputs(x, "total:0.3333")
    x[0, 0] = np.nan
    with pytest.raises(PacoError, match="row 0"):
        fit(x, person)


def test_solvers_load_by_name():
    assert all(callable(load_solver(name)) for name in SOLVERS)
    with pytest.raises(PacoError, match="logistic"):
        load_solver("logistics")
