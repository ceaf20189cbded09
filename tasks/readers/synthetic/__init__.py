"""Synthetic faces as records."""
