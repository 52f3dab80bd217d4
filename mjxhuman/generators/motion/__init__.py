"""Human motion from text: its representation."""
