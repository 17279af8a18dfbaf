"""The collect step as a Kubeflow component."""

from typing import Any, Dict, List  # noqa: UP035 - what kfp reads in a signature

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def collect(
    root: str,
    split: str,
    triplets: dsl.Output[dsl.Dataset],
    seed: int = 0,
    max_groups: int = 66,
    options: Dict[str, Any] = {},  # noqa: UP006
) -> List[str]:  # noqa: UP006
    """Keep the triplets whose three faces survived, and count what was lost where.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        triplets: The funnel of the split, with its counts.
        seed: Of the shuffle: another seed, another order of the same triplets.
        max_groups: Groups of record shards at the most.
        options: Further options of all steps, by step: {"collect": {...}}.

    Returns:
        The groups of record shards.
    """
    from components.again import one_group_if_finished
    from components.collect import step
    from components.collect.artifacts import publish_triplets
    from fec.command import performed

    return performed(
        step.run,
        step.Parameters,
        options,
        check=lambda: one_group_if_finished(root),
        publish=lambda groups: publish_triplets(root, split, triplets),
        root=root,
        split=split,
        seed=seed,
        max_groups=max_groups,
    )
