"""Rows of results: what one is, where many lie, and the small files beside them."""
