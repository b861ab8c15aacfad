"""Files: atomic writes, locks and downloads. Imports nothing else of mindcv."""
