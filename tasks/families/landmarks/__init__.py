"""Benchmarks of the landmarks family, one declaration a file."""
