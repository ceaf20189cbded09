"""Readers of sets of label masks."""
