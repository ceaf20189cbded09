"""Readers of sets for verification and identification."""
