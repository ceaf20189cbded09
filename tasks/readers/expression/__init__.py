"""Readers of sets of expressions."""
