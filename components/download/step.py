"""Fetch the images of a group of shards, each once, politely, and store what came of it."""

from __future__ import annotations

from components.download.parameters import Parameters
from fec.memory import take_memory_in_one_place

__all__ = ["Parameters", "run"]


def run(parameters: Parameters) -> str:
    """Fetch what the group's shards still lack; returns the group.

    Raises ConfigurationError for values that make no sense, and RunFailed if the plan is missing or if most
    images failed for transient causes: what was fetched stays, and running again goes on from there.
    """
    take_memory_in_one_place()
    from components.download.work import download

    download(parameters)
    return parameters.group
