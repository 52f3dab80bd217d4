"""Generators of motion and video by flow matching, and their post-training with rewards."""
