"""The command line: the `mindcv` command and what the scripts share."""
