"""What post-training minimises: pure functions of predictions, samples and rewards."""
