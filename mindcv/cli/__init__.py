"""Command lines: the `mindcv` command, and what the scripts at the root of the repository call."""
