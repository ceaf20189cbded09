"""Pretraining recipes, one TOML file each; fields and defaults are in :mod:`paco_fr.config`."""
