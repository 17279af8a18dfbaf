"""What an engine's pages show of what a step made: a copy of the file, and where the original is kept."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from typing import Any, Protocol

from fec import layout
from fec.storage import open_storage


class Artifact(Protocol):
    """An output artifact of KFP: a local path for its content, and what is known of it."""

    path: str
    metadata: dict[str, Any]


class Metrics(Protocol):
    """An output artifact of KFP that holds numbers."""

    def log_metric(self, metric: str, value: float) -> None: ...


def publish(root: str, path: str, artifact: Artifact, **known: Any) -> None:
    """Make ``artifact`` a copy of ``path`` below ``root``; its metadata says where that is and what is ``known``.

    A copy, since the engine takes an artifact from its own bucket only.
    """
    storage = open_storage(root)
    with storage.local_copy(path) as file:
        shutil.copyfile(file, artifact.path)
    artifact.metadata.update(known, kept_at=f"{storage.root}/{path}")


def log(metrics: Metrics, values: Mapping[str, float | None]) -> None:
    """Give ``metrics`` the values that are numbers."""
    for name, value in values.items():
        if value is not None and math.isfinite(value):
            metrics.log_metric(name, value)


def publish_report(root: str, run: str, report: Artifact, metrics: Metrics) -> None:
    """Make ``report`` the page of ``run``, and ``metrics`` its triplet accuracies beside what they compare with."""
    directory = layout.report_dir(run)
    found = json.loads(open_storage(root).read(f"{directory}/metrics.json"))
    publish(root, f"{directory}/report.html", report, run=run)
    log(metrics, {f"triplet_accuracy_{name}": value for name, value in found["triplet_accuracy"].items()})
    log(metrics, {name: found.get(name) for name in ("chance", "by_pixels", "loss")})
