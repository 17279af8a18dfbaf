"""Fetch the images of a group of shards, each once, politely, and store what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from fec.command import parameter

USER_AGENT = "fec-pipeline/0.1 (research dataset of public image URLs; one polite fetch per image)"


@dataclass(frozen=True)
class Parameters:
    """What a download depends on."""

    root: str = parameter(help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    split: str = parameter(help="train or eval")
    group: str = parameter(help="the shards to fetch, INDEX/COUNT: 0/1 is all of them")
    allow_network: tuple[str, ...] = parameter(
        help="CIDR that may be fetched from although it is not on the public internet", default=()
    )
    requests_per_second: float = parameter(help="to one host key over the whole run", default=20.0)
    connections_per_host: int = parameter(help="requests under way to one host key", default=4)
    connections: int = parameter(help="requests under way in all", default=64)
    attempts: int = parameter(help="tries of an image in one run, if it fails for a transient cause", default=3)
    timeout: float = parameter(help="seconds for one whole answer, redirects included", default=30.0)
    connect_timeout: float = parameter(help="seconds to be connected", default=10.0)
    max_bytes: int = parameter(help="largest image accepted, bytes", default=32 << 20)
    max_redirects: int = parameter(help="redirects followed", default=5)
    retry_transient_after: float = parameter(
        help="seconds after which a finished shard's transient failures are tried again", default=3600.0
    )
    max_transient: float = parameter(
        help="share of images that may fail for transient causes before it counts as an outage", default=0.5
    )
    user_agent: str = parameter(help="how we introduce ourselves to the hosts", default=USER_AGENT)


def run(parameters: Parameters) -> str:
    """Fetch what the group's shards still lack; returns the group.

    Raises ConfigurationError for values that make no sense, and RunFailed if the plan is missing or if most
    images failed for transient causes: what was fetched stays, and running again goes on from there.
    """
    from components.download.shards import download

    download(parameters)
    return parameters.group
