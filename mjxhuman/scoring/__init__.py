"""The callers of the score: many files, batches of videos."""
