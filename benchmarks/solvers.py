"""Heads along a whole path of penalties, beside a loop of scikit-learn over the same penalties.

    python -m benchmarks.solvers [--small] [--threads 2]

Both get the same 45 penalties, the same standardised features, the same choice on a validation part and the
same number of threads; every rival fits its whole grid, nothing is extrapolated. The features are made:
12,271 x 768 with a falling spectrum, seven uneven classes and a tenth of wrong labels, about as hard to tell
apart as expressions are.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from threadpoolctl import threadpool_limits

from paco_eval.probes.solvers import logistic, ridge
from paco_eval.probes.solvers.standardise import Standardiser

STRENGTHS = tuple(float(strength) for strength in np.logspace(1, -6, 45))
"""Dense, as a rival's grid would be; the solver's own path takes the same range in 15 steps."""
SHARES = np.array([0.40, 0.20, 0.15, 0.10, 0.08, 0.04, 0.03])


def made(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.choice(len(SHARES), n, p=SHARES)
    spread = 3.0 / np.sqrt(1.0 + np.arange(d))
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    centres = 0.1 * rng.normal(size=(len(SHARES), d))
    x = ((rng.normal(size=(n, d)) + centres[true]) * spread) @ turn
    return x, np.where(rng.random(n) < 0.1, rng.integers(0, len(SHARES), n), true)


def timed(name: str, run: Callable[[], float]) -> tuple[float, float]:
    began = time.perf_counter()
    score = run()
    seconds = time.perf_counter() - began
    print(f"  {name:42s} {seconds:8.2f} s   validation {score:.4f}", flush=True)
    return seconds, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--small", action="store_true", help="a tenth of the units, a quarter of the dimensions"
    )
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    n, d = (1_227, 192) if options.small else (12_271, 768)
    x, y = made(n + n // 4, d)
    train, held = slice(n), slice(n, None)
    standardiser = Standardiser.fit(x[train])
    x = standardiser(x)

    print(f"Logistic regression, {n} x {d}, {len(SHARES)} classes, {len(STRENGTHS)} penalties")

    def path() -> float:
        outputs = logistic.fit(x[train], y[train], strengths=STRENGTHS).all_outputs(x[held])
        return max(float((p.argmax(axis=1) == y[held]).mean()) for p in outputs)

    def cross_validated() -> float:
        model = LogisticRegressionCV(
            Cs=[1.0 / (n * s) for s in STRENGTHS],
            cv=[(np.arange(n), np.arange(n, len(x)))],
            refit=False,
            max_iter=1000,
            use_legacy_attributes=True,
        ).fit(x, y)
        return float(np.mean(list(model.scores_.values()), axis=0).max())

    def loop() -> float:
        best = 0.0
        for s in STRENGTHS:
            model = LogisticRegression(C=1.0 / (n * s), max_iter=1000).fit(x[train], y[train])
            best = max(best, model.score(x[held], y[held]))
        return best

    with warnings.catch_warnings(), threadpool_limits(options.threads):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        ours, reached = timed("this package", path)
        for name, rival in (
            ("LogisticRegressionCV", cross_validated),
            ("LogisticRegression in a loop", loop),
        ):
            seconds, score = timed(name, rival)
            print(f"  ratio {seconds / ours:.1f}, accuracy {100 * (reached - score):+.2f} points")

    print(f"Ridge regression, {n} x {d}, 136 targets, {len(ridge.STRENGTHS)} penalties")
    rng = np.random.default_rng(1)
    targets = x @ (0.01 * rng.normal(size=(d, 136))) + rng.normal(size=(len(x), 136))

    def error(predicted: np.ndarray) -> float:
        return float(np.square(predicted - targets[held]).mean())

    def ridge_path() -> float:
        return min(error(p) for p in ridge.fit(x[train], targets[train]).all_outputs(x[held]))

    def ridge_loop() -> float:
        fits = (Ridge(alpha=n * s).fit(x[train], targets[train]) for s in ridge.STRENGTHS)
        return min(error(model.predict(x[held])) for model in fits)

    with threadpool_limits(options.threads):
        ours, _ = timed("this package", ridge_path)
        print(f"  ratio {timed('Ridge in a loop', ridge_loop)[0] / ours:.1f}")


if __name__ == "__main__":
    main()
