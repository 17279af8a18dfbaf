"""Write the TFRecord files of a group of record shards, each example with its three faces inside."""

from __future__ import annotations

from dataclasses import dataclass

from fec.command import parameter


@dataclass(frozen=True)
class Parameters:
    """What the records depend on."""

    root: str = parameter(help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    split: str = parameter(help="train or eval")
    group: str = parameter(help="the record shards to write, INDEX/COUNT: 0/1 is all of them")
    image_size: int = parameter(help="side of the square faces in the records, pixels", default=64)
    jpeg_quality: int = parameter(help="of the faces in the records, 1 to 100", default=90)
    workers: int = parameter(help="threads that encode faces; 0: one a core", default=0)


def run(parameters: Parameters) -> str:
    """Write what the group's record files still lack; returns the group.

    Raises ConfigurationError for values that make no sense, and RunFailed if the collect step is missing or
    a crop is not the one the manifest was written for.
    """
    from components.datagen.writing import write_records

    write_records(parameters)
    return parameters.group
