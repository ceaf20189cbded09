"""Heads on frozen features: fitted on train, chosen on validation, scored once. Read ``probe`` first."""
