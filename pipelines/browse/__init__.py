"""``fec browse``: a root to look at in a web browser on the same machine."""
