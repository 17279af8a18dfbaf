"""The two ways a run ends badly, each with the exit code a shell and an engine see."""

from __future__ import annotations


class FecError(Exception):
    """An error whose message is written for the user: what was asked, what was found, what to do."""

    exit_code = 1


class ConfigurationError(FecError):
    """The run cannot start as asked (no such file, not an FEC CSV, root not writable). Exit code 2."""

    exit_code = 2


class RunFailed(FecError):
    """The run was asked for rightly but could not be finished (an outage, nothing survived). Exit code 1."""

    exit_code = 1
