"""The evaluate step's artifacts on the engine."""

from __future__ import annotations

import json

from fec import layout
from fec.artifacts import Artifact, Metrics, log, publish
from fec.storage import open_storage


def publish_report(root: str, run: str, report: Artifact, metrics: Metrics) -> None:
    """Make ``report`` the page, and ``metrics`` the triplet accuracies beside chance and what pixels alone reach."""
    directory = layout.report_dir(run)
    found = json.loads(open_storage(root).read(f"{directory}/metrics.json"))
    publish(root, f"{directory}/report.html", report, run=run)
    log(metrics, {f"triplet_accuracy_{name}": value for name, value in found["triplet_accuracy"].items()})
    log(metrics, {"chance": found["chance"], "by_pixels": found["by_pixels"]})
