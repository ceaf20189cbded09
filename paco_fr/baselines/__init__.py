"""Rivals that the same loop trains: MAE, SimMIM, nothing at all."""
