"""Benchmarks of the parsing family, one declaration a file."""
