"""``fec verify``: read back all that a run has stored."""

from __future__ import annotations

import argparse
import json
import time

SUMMARY = "Read back everything a run has stored, hold it against the manifests, and name what is wrong."


def add_options(parser: argparse.ArgumentParser) -> None:
    root = parser.add_mutually_exclusive_group(required=True)
    root.add_argument("--root", help="storage root of the run: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    root.add_argument("place", metavar="ROOT", nargs="?", help="the same, without --root")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON on stdout")


def run(options: argparse.Namespace) -> int:
    from fec.storage import open_storage
    from pipelines.verify import report
    from pipelines.verify.root import verify

    started = time.monotonic()
    storage = open_storage(options.place if options.root is None else options.root, read_only=True)
    findings = verify(storage)
    seconds = time.monotonic() - started
    print(json.dumps(report.as_json(findings, storage.root, seconds)) if options.json else report.as_text(findings))
    return 1 if findings.faults else 0
