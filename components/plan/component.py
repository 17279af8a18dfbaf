"""The KFP component of the plan step."""

from typing import List  # noqa: UP035 - what kfp reads in a signature

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def plan(
    root: str,
    split: str,
    annotations: str,
    num_shards: int = 8,
    max_shards: int = 0,
    max_groups: int = 100,
    agreement: float = 2 / 3,
    max_malformed: float = 0.01,
    requests_per_second: float = 20.0,
    task_requests_per_second: float = 200.0,
) -> List[str]:  # noqa: UP006
    """Plan a split: what is to be fetched, where it goes, and in which groups it is done.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        annotations: The FEC CSV, or FEC_dataset.zip: a path or an http(s), gs or s3 URL.
        num_shards: Shards of the whole split.
        max_shards: A trial: only as much of the split as fills this many shards; 0 for all.
        max_groups: Groups the shards are handled in, 200 at most.
        agreement: Share of the votes that makes a consensus.
        max_malformed: Share of malformed rows up to which the file is trusted.
        requests_per_second: Requests a second to one host key, over the whole run.
        task_requests_per_second: Requests a second that one task can do.

    Returns:
        The groups, each as INDEX/COUNT.
    """
    from components.plan.parameters import Parameters
    from components.plan.step import run
    from fec.command import reported

    with reported():
        return run(
            Parameters(
                root=root,
                split=split,
                annotations=annotations,
                num_shards=num_shards,
                max_shards=max_shards,
                max_groups=max_groups,
                agreement=agreement,
                max_malformed=max_malformed,
                requests_per_second=requests_per_second,
                task_requests_per_second=task_requests_per_second,
            )
        )
