"""The train step's artifacts on the engine."""

from __future__ import annotations

import json

from fec import layout
from fec.artifacts import Artifact, Metrics, log, publish
from fec.storage import open_storage


def publish_model(root: str, run: str, model: Artifact, metrics: Metrics) -> None:
    """Make ``model`` the trained network, and ``metrics`` where its training ended."""
    directory = layout.model_dir(run)
    history = json.loads(open_storage(root).read(f"{directory}/history.json"))
    publish(root, f"{directory}/model.keras", model, framework="keras", run=run)
    log(metrics, {name: values[-1] for name, values in history.items() if values})
