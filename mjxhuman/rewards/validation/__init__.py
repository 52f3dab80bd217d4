"""What judges the rewards: damaged copies, rankings, percentiles of clean motion."""
