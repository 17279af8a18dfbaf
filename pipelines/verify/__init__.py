"""Reads back all that a run has stored, and names whatever does not hold."""
