"""Readers of sets of attributes."""
