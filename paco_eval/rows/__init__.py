"""TODO: what rows holds."""
