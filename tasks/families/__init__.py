"""Declarations of the benchmarks, one file each, a folder a family; nothing else may stand here."""
