"""The pipeline on this machine: its process, what it shows, how it ends."""
