"""``fec compare``: two trained runs of a root on the same eval triplets."""

from __future__ import annotations

import argparse
import json

SUMMARY = "Compare two evaluated runs on the same eval triplets: by how much one is better, and how sure that is."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="RUN_A", help="name of an evaluated run")
    parser.add_argument("second", metavar="RUN_B", help="name of another")
    parser.add_argument("--root", required=True, help="their root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    from fec.storage import open_storage
    from pipelines.comparison import as_json, as_text, compare_runs

    found = compare_runs(open_storage(options.root, read_only=True), options.first, options.second)
    print(json.dumps(as_json(found)) if options.json else as_text(found))
    return 0
