"""``fec subset``: what survived of a root as a list without pictures, so that others can report on the same."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "List the surviving triplets, as ids and digests without pictures: others can then report on the same ones."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", metavar="ROOT", help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="the CSV to write")


def run(options: argparse.Namespace) -> int:
    from fec import subsets
    from fec.dataset import open as open_dataset
    from fec.errors import ConfigurationError
    from pipelines.export.crops import listed

    data = subsets.to_csv(listed(open_dataset(options.root)))
    try:
        options.output.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(f"--output {options.output}: {error.strerror}") from None
    subset = subsets.parse(data, str(options.output))
    told = ", ".join(f"{len(triplets):,} triplets of {split}" for split, triplets in sorted(subset.triplets.items()))
    print(f"{options.output}: subset {subset.fingerprint}, {told}")
    return 0
