"""Metrics: pure functions of an item table and of group multiplicities."""
