"""What people call metrics and encoders: "TAR at FAR 1 %", "NME, % of box", "paco/tiny" rather than a path."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from paco_fr.utils.errors import PacoError, unknown_name

if TYPE_CHECKING:
    from paco_eval.rows.schema import Row

_LENGTHS = {
    "box": "box",
    "diag": "box diagonal",
    "interocular": "outer eye corners",
    "interpupil": "pupil distance",
}
"""What an NME is a percentage of."""

_PLAIN = {
    "mae": "angle error, degrees",
    "geodesic": "geodesic error, degrees",
    "geodesic_aligned": "geodesic error, axes aligned, degrees",
    "accuracy": "accuracy, %",
    "class_mean_accuracy": "accuracy, mean of classes, %",
    "mean_accuracy": "accuracy, mean of attributes, %",
    "balanced_accuracy": "accuracy, hits and rejections alike, %",
    "macro_f1": "F1, mean of classes, %",
    "mean_f1": "F1, mean of parts, %",
    "pixel_accuracy": "accuracy of pixels, %",
    "auc": "AUC",
    "eer": "equal error rate, %",
    "accuracy_10fold": "accuracy, 10 folds, %",
    "accuracy_10fold_grid": "accuracy, 10 folds, official thresholds, %",
    "accuracy_10fold_grid_std": "spread of accuracy over 10 folds, %",
    "collapsed": "collapsed features",
    "perplexity": "perplexity, % of tokens",
    "belief_perplexity": "perplexity of belief, % of tokens",
    "belief_accuracy": "belief right, %",
    "nearer_than_mean": "belief nearer than the mean, %",
    "visibility_recall": "hidden points found, %",
    "auc_percent": "AUC, %",
    "hter": "half total error rate, %",
    "ccc": "concordance",
    "rmse": "RMSE",
    "mae_years": "age error, years",
    "skin_accuracy": "accuracy of skin type, %",
    "mean difference": "mean difference, sd",
}

_MADE: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (
        r"mae(_yaw|_pitch|_roll)?_lenient180",
        lambda m: f"{(m[1] or '_angle')[1:]} error folded at 180°, degrees",
    ),
    (
        r"mae(_yaw|_pitch|_roll)?_aligned",
        lambda m: f"{(m[1] or '_angle')[1:]} error, axes aligned, degrees",
    ),
    (r"mae_(yaw|pitch|roll)", lambda m: f"{m[1]} error, degrees"),
    (r"nme_(visible|hidden)", lambda m: f"NME of {m[1]} points, %"),
    (
        r"nme_(\w+?)(_frontal)?",
        lambda m: f"NME{' of frontal faces' if m[2] else ''}, % of {_LENGTHS.get(m[1], m[1])}",
    ),
    (r"nme", lambda _: "NME, %"),
    (r"fr(_box)?(\d+)", lambda m: f"faces with NME above {m[2]} %, %"),
    (
        r"auc(_box)?(\d+)(_grid\d+)?",
        lambda m: f"AUC of NME to {m[2]} %{', official grid' if m[3] else ''}, %",
    ),
    (r"tar@far=(.+)", lambda m: f"TAR at FAR {_share(m[1])}"),
    (r"tar_nearest@far=(.+)", lambda m: f"TAR at FAR {_share(m[1])}, nearest threshold"),
    (r"achieved_far@(.+)", lambda m: f"FAR met at {_share(m[1])}"),
    (r"val_10fold@far=(.+)", lambda m: f"TAR at FAR {_share(m[1])}, 10 folds"),
    (r"tpir(_nonmated)?@fpir=(.+)", lambda m: f"TPIR at FPIR {_share(m[2])}{', strangers' * bool(m[1])}"),
    (r"achieved_fpir@(.+)", lambda m: f"FPIR met at {_share(m[1])}"),
    (r"rank(\d+)", lambda m: f"rank-{m[1]}, %"),
    (r"f1_(\w+)", lambda m: f"F1 of {m[1].replace('_', ' ')}, %"),
    (r"same_(token|belief)(_\w+)?", lambda m: f"{m[1]}s kept{(m[2] or '').replace('_', ' ')}, %"),
    (r"tokens_(\w+)", lambda m: f"tokens {m[1]}, %"),
)


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def metric_title(metric: str, unit: str) -> str:
    """Return a metric as people write it, with its unit."""
    known = known_title(metric)
    if known:
        return known
    own = {"": "", "%": ", %", "deg": ", degrees"}.get(unit, f", {unit}")
    return metric.replace("_", " ") + own


def known_title(metric: str) -> str:
    """Return a metric of this package as people write it; an empty text for any other."""
    if metric in _PLAIN:
        return _PLAIN[metric]
    for pattern, title in _MADE:
        if found := re.fullmatch(pattern, metric):
            return title(found)
    return ""


def _share(text: str) -> str:
    try:
        return f"{100 * float(text):.6g} %"
    except ValueError:
        return text


def encoder_titles(
    lines: Mapping[str, Sequence[Row]], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what to call each line of a table, no two alike.

    In this order: what the caller says, the alias in the rows, a checkpoint's method, the name without what tells
    an adapter where to look.

    Args:
        lines: label of a line -> its rows.
        given: encoder, method or alias, or a glob of these -> name.

    Raises:
        PacoError: a given name is for an encoder that is not there.

    """
    own = _given(lines, given or {})
    found = {label: own.get(label) or _alias(rows) or _plain(label, rows) for label, rows in lines.items()}
    often = Counter(found.values())
    return {
        label: name if often[name] == 1 else _apart(name, label, [*lines]) for label, name in found.items()
    }


def _given(lines: Mapping[str, Sequence[Row]], given: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for wanted, name in given.items():
        labels = meant(lines, wanted)
        if not labels:
            raise unknown_name("encoder", wanted, called(lines))
        found.update(dict.fromkeys(labels, name))
    return found


def meant(lines: Mapping[str, Sequence[Row]], wanted: str) -> list[str]:
    """Return the labels of lines that a user's word means: label, encoder, method or alias, or a glob of one."""
    exact = [label for label, rows in lines.items() if wanted in _words(label, rows)]
    return exact or [
        label
        for label, rows in lines.items()
        if any(fnmatchcase(word, wanted) for word in _words(label, rows))
    ]


def called(lines: Mapping[str, Sequence[Row]]) -> set[str]:
    """Return every word that means a line."""
    return {word for label, rows in lines.items() for word in _words(label, rows)}


def _words(label: str, rows: Sequence[Row]) -> set[str]:
    return {label, *(word for row in rows for word in (row.encoder, row.method, row.alias) if word)}


def _alias(rows: Sequence[Row]) -> str:
    names = {row.alias for row in rows}
    return names.pop() if len(names) == 1 else ""


def _plain(label: str, rows: Sequence[Row]) -> str:
    kind, _, rest = label.partition(":")
    methods = {row.method for row in rows}
    if kind == "paco" and len(methods) == 1:
        return methods.pop()
    if kind == "random" and rest:
        return f"untrained {rest}"
    if kind in ("farl", "mcf", "mae", "onnx", "torchscript", "file") and rest:
        return f"{kind} {rest.rsplit('/', 1)[-1]}"
    return rest if kind == "timm" and rest else label


def _apart(name: str, label: str, labels: Iterable[str]) -> str:
    """Return a name with as much of the end of the label as tells it from the others."""
    parts = label.rstrip("/").split("/")
    others = [other.rstrip("/").split("/") for other in labels if other != label]
    for kept in range(1, len(parts)):
        if all(other[-kept:] != parts[-kept:] for other in others):
            return f"{name} ({'/'.join(parts[-kept:])})"
    return label


def names_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return ``ENCODER=NAME`` pairs as a mapping; several may stand in one text, separated by commas.

    A text of which not every part between commas is a pair is one pair: methods and names may hold commas.

    Raises:
        PacoError: a pair without an equals sign, or without a name.

    """
    found: dict[str, str] = defaultdict(str)
    for pair in (part.strip() for text in pairs for part in _parts(text)):
        encoder, separator, name = pair.rpartition("=")
        if not separator or not encoder or not name.strip():
            raise PacoError(f"--names: '{pair}' is not of the form ENCODER=NAME.")
        found[encoder] = name.strip()
    return dict(found)


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    return parts if all("=" in part for part in parts) else [text]
