"""Benchmarks of the expression family, one declaration a file."""
