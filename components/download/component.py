"""The download step as a Kubeflow component."""

from typing import Any, Dict, List  # noqa: UP035 - what kfp reads in a signature

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def download(
    root: str,
    split: str,
    group: str = "0/1",
    allow_network: List[str] = [],  # noqa: UP006
    requests_per_second: float = 20.0,
    retry_transient_after: float = 3600.0,
    options: Dict[str, Any] = {},  # noqa: UP006
) -> str:
    """Fetch the images of a group of shards, each once, politely.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        group: The shards to fetch, INDEX/COUNT; 0/1 is all of them.
        allow_network: CIDRs that may be fetched from although they are not on the public internet.
        requests_per_second: To one host key over the whole run.
        retry_transient_after: Seconds after which a finished shard's transient failures are tried again.
        options: Further options of all steps, by step: {"download": {...}}.

    Returns:
        The group.
    """
    from components.download import step
    from fec.command import performed

    return performed(
        step.run,
        step.Parameters,
        options,
        root=root,
        split=split,
        group=group,
        allow_network=allow_network,
        requests_per_second=requests_per_second,
        retry_transient_after=retry_transient_after,
    )
