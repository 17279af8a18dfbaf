"""The download step as a Kubeflow component."""

from typing import List  # noqa: UP035 - kfp reads this annotation

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def download(
    root: str,
    split: str,
    group: str = "0/1",
    allow_network: List[str] = [],  # noqa: UP006
    requests_per_second: float = 20.0,
    connections_per_host: int = 4,
    connections: int = 64,
    attempts: int = 3,
    timeout: float = 30.0,
    connect_timeout: float = 10.0,
    max_bytes: int = 33554432,
    max_redirects: int = 5,
    retry_transient_after: float = 3600.0,
    max_transient: float = 0.5,
    user_agent: str = "fec-pipeline/0.1 (research dataset of public image URLs; one polite fetch per image)",
) -> str:
    """Fetch the images of a group of shards, each once, politely.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        group: The shards to fetch, INDEX/COUNT; 0/1 is all of them.
        allow_network: CIDRs that may be fetched from although they are not on the public internet.
        requests_per_second: To one host key over the whole run.
        connections_per_host: Requests under way to one host key.
        connections: Requests under way in all.
        attempts: Tries of an image in one run, if it fails for a transient cause.
        timeout: Seconds for one whole answer, redirects included.
        connect_timeout: Seconds to be connected.
        max_bytes: Largest image accepted, bytes.
        max_redirects: Redirects followed.
        retry_transient_after: Seconds after which a finished shard's transient failures are tried again.
        max_transient: Share of images that may fail for transient causes before it counts as an outage.
        user_agent: How we introduce ourselves to the hosts.

    Returns:
        The group.
    """
    from components.download.parameters import Parameters
    from components.download.step import run
    from fec.command import reported

    with reported():
        return run(
            Parameters(
                root=root,
                split=split,
                group=group,
                allow_network=tuple(allow_network),
                requests_per_second=requests_per_second,
                connections_per_host=connections_per_host,
                connections=connections,
                attempts=attempts,
                timeout=timeout,
                connect_timeout=connect_timeout,
                max_bytes=max_bytes,
                max_redirects=max_redirects,
                retry_transient_after=retry_transient_after,
                max_transient=max_transient,
                user_agent=user_agent,
            )
        )
