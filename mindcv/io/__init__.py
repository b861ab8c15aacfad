"""Atomic writes, locks and downloads."""
