"""The KFP component of the plan step."""

from typing import Any, Dict, List  # noqa: UP035 - what kfp reads in a signature

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def plan(
    root: str,
    split: str,
    annotations: str,
    num_shards: int = 8,
    max_shards: int = 0,
    other_shards: int = 0,
    max_groups: int = 66,
    requests_per_second: float = 20.0,
    options: Dict[str, Any] = {},  # noqa: UP006
) -> List[str]:  # noqa: UP006
    """Plan a split: what is to be fetched, where it goes, and in which groups it is done.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        annotations: The FEC CSV, or FEC_dataset.zip: a path or an http(s), gs or s3 URL.
        num_shards: Shards of the whole split.
        max_shards: A trial: only as much of the split as fills this many shards; 0 for all.
        other_shards: Shards of the run's other split, which shares the groups with this one; 0 for none.
        max_groups: Groups the shards are handled in, 80 at most.
        requests_per_second: Requests a second to one host key, over the whole run.
        options: Further options of all steps, by step: {"plan": {...}}.

    Returns:
        The groups, each as INDEX/COUNT.
    """
    from components.form import take
    from components.plan import step
    from fec.command import engine_inputs, performed

    return performed(
        step.run,
        step.Parameters,
        options,
        # Of all steps: a mistake is told before anything is fetched.
        check=lambda: take(root, engine_inputs() | {"options": options}),
        root=root,
        split=split,
        annotations=annotations,
        num_shards=num_shards,
        max_shards=max_shards,
        other_shards=other_shards,
        max_groups=max_groups,
        requests_per_second=requests_per_second,
    )
