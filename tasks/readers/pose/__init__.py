"""Readers of sets of head pose."""
