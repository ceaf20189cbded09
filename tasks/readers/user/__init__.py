"""Readers of a user's own folders and tables."""
