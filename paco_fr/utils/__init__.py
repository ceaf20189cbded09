"""Errors, files, randomness, processes: what every room uses."""
