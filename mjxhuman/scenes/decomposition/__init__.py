"""Meshes taken apart into convex pieces, and whether these stand for them."""
