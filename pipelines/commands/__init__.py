"""The sub-commands of ``fec``, a module each."""
