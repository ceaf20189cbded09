"""Readers of sets of landmarks."""
