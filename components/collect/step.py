"""Keep the triplets whose three faces survived, put them in the order of the records, and count what was lost where."""

from __future__ import annotations

from dataclasses import dataclass

from fec.command import parameter


@dataclass(frozen=True)
class Parameters:
    """What the collection depends on."""

    root: str = parameter(help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    split: str = parameter(help="train or eval")
    seed: int = parameter(help="of the shuffle: another seed, another order of the same triplets", default=0)
    triplets_per_record_shard: int = parameter(help="triplets in one TFRecord file, about", default=5000)
    max_groups: int = parameter(help="groups of record shards at the most, 1 to 200", default=100)


def run(parameters: Parameters) -> list[str]:
    """Write ``collect/<split>/``; returns the groups of record shards, such as ``["0/2", "1/2"]``.

    Raises RunFailed if a shard has not been through the faces step, or if no triplet is left; the funnel is
    written all the same and says where they were lost.
    """
    from components.collect.survivors import collect

    return collect(parameters)
