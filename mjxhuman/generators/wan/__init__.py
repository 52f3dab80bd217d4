"""Wan 2.1, text to video (Wan Team 2025, arXiv 2503.20314)."""
