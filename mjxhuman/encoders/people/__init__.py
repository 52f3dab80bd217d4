"""Who is who in a video: people followed from frame to frame, and told again after they met or were hidden."""
