"""Heads: losses and small architectures that sit on an encoder while it is fine-tuned."""
