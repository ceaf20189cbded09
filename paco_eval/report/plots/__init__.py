"""Figures in one house style. Every function takes plain arrays or frames and returns a matplotlib Figure."""

from paco_eval.report.plots.curves import confusion_matrix, cumulative_error, det, error_against_yaw, roc
from paco_eval.report.plots.method import attention_sheet, nearest_tokens_sheet, place_maps
from paco_eval.report.plots.pictures import codebook_atlas, landmark_sheet, picture_rows, reconstruction_sheet
from paco_eval.report.plots.robustness import heat_map, robustness_curves, score_against_angle
from paco_eval.report.plots.scores import accuracy_against_cost, dot_and_interval, few_shot_curves
from paco_eval.report.plots.style import Look, looks, save, to_svg
from paco_eval.report.plots.training import (
    codebook_health,
    compare_losses,
    has_codebook,
    loss_curves,
    read_metrics,
)

__all__ = [
    "Look",
    "accuracy_against_cost",
    "attention_sheet",
    "codebook_atlas",
    "codebook_health",
    "compare_losses",
    "confusion_matrix",
    "cumulative_error",
    "det",
    "dot_and_interval",
    "error_against_yaw",
    "few_shot_curves",
    "has_codebook",
    "heat_map",
    "landmark_sheet",
    "looks",
    "loss_curves",
    "nearest_tokens_sheet",
    "picture_rows",
    "place_maps",
    "read_metrics",
    "reconstruction_sheet",
    "robustness_curves",
    "roc",
    "save",
    "score_against_angle",
    "to_svg",
]
