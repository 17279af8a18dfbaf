"""``fec threshold``: what another ``--min-confidence`` would keep, from the manifests alone."""

from __future__ import annotations

import argparse

SUMMARY = "How many faces and triplets each --min-confidence would keep, from what the faces step wrote down."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", metavar="ROOT", help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of tables")


def run(options: argparse.Namespace) -> int:
    import json
    from dataclasses import asdict

    from fec.errors import RunFailed
    from fec.layout import SPLITS
    from fec.storage import open_storage
    from fec.thresholds import as_text, kept_by_threshold

    storage = open_storage(options.root, read_only=True)
    found = {split: kept for split in SPLITS if (kept := kept_by_threshold(storage, split)) is not None}
    if not found:
        raise RunFailed(f"{options.root} has no verified faces yet: run the faces step first")
    if options.json:
        print(json.dumps({split: asdict(kept) for split, kept in found.items()}))
    else:
        print("\n\n".join(as_text(split, kept) for split, kept in found.items()))
    return 0
