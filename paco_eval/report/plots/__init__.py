"""Figures in one house style. Every function takes plain arrays or frames and returns a matplotlib Figure."""
