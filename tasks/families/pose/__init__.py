"""Benchmarks of the pose family, one declaration a file."""
