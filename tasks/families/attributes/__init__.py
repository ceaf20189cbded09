"""Benchmarks of the attributes family, one declaration a file."""
