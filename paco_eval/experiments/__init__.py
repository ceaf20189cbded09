"""Runs of many measurements: ablation, quickstart, sensitivity, a row measured again."""
