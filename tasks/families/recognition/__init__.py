"""Benchmarks of the recognition family, one declaration a file."""
