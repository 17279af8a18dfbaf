"""The collect step as a Kubeflow component."""

from typing import List  # noqa: UP035 - kfp reads this annotation

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def collect(
    root: str,
    split: str,
    triplets: dsl.Output[dsl.Dataset],
    seed: int = 0,
    triplets_per_record_shard: int = 5000,
    record_shards: int = 0,
    max_groups: int = 100,
    preset: str = "fec_base",
) -> List[str]:  # noqa: UP006
    """Keep the triplets whose three faces survived, and count what was lost where.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        triplets: The funnel of the split, with its counts.
        seed: Of the shuffle: another seed, another order of the same triplets.
        triplets_per_record_shard: Triplets in one TFRecord file, about.
        record_shards: TFRecord files; 0 for as many as the former asks for.
        max_groups: Groups of record shards at the most, 1 to 200.
        preset: Whose record shards the groups are of, fec_base (all triplets) or fec_tiny (a sample).

    Returns:
        The groups of record shards.
    """
    from components.collect.artifacts import publish_triplets
    from components.collect.parameters import Parameters
    from components.collect.step import run
    from fec.command import reported

    with reported():
        groups = run(
            Parameters(
                root=root,
                split=split,
                seed=seed,
                triplets_per_record_shard=triplets_per_record_shard,
                record_shards=record_shards,
                max_groups=max_groups,
                preset=preset,
            )
        )
        publish_triplets(root, split, triplets)
        return groups
