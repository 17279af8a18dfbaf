"""What puts a pod on GKE's spot nodes: their label, and the taint they have where it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LABEL: Final = "cloud.google.com/gke-spot"
NODE_SELECTOR: Final[Mapping[str, str]] = {LABEL: "true"}
TOLERATION: Final[Mapping[str, str]] = {"key": LABEL, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
