"""A seeded renderer of 3D heads: faces whose every parameter is known."""
