"""Furniture from files: formats, repair, which way up, and objects made of what was read."""
