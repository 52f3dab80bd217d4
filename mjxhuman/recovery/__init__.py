"""Pixels to motion: what people look like in cameras, solved for the motion of a whole clip."""
