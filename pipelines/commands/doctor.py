"""``fec doctor``: whether this machine has what a run needs, before one is begun."""

from __future__ import annotations

import argparse
import os

SUMMARY = "Look whether all is there that a run needs: lists, root and room, detector, accelerator, versions, endpoint."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train-csv", default="", metavar="FILE", help="the list that a run would read")
    parser.add_argument("--eval-csv", default="", metavar="FILE", help="the other list")
    parser.add_argument("--root", default="", metavar="ROOT", help="where a run would write")
    parser.add_argument(
        "--detector", default="yunet", metavar="NAME", help="the detector to load (default: %(default)s)"
    )
    parser.add_argument("--weights", default="", metavar="DIR", help="its weights, if it needs some")
    parser.add_argument("--endpoint", default="", metavar="URL", help="of Kubeflow Pipelines (else KFP_ENDPOINT)")
    parser.add_argument("--json", action="store_true", help="a JSON object a check")


def run(options: argparse.Namespace) -> int:
    import json
    from dataclasses import asdict

    from pipelines.doctor import Asked, State, as_text, examine

    endpoint = options.endpoint or os.environ.get("KFP_ENDPOINT", "")
    asked = Asked(options.train_csv, options.eval_csv, options.root, options.detector, options.weights, endpoint)
    wrong = 0
    for finding in examine(asked):
        print(json.dumps(asdict(finding)) if options.json else as_text(finding), flush=True)
        wrong += finding.state is State.WRONG
    return 1 if wrong else 0
