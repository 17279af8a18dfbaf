"""The container images the components run in, and how an image is named."""

from __future__ import annotations

from typing import Final

REGISTRY: Final = "ghcr.io/fec-pipeline"


def image(name: str, registry: str = REGISTRY, tag: str = "latest") -> str:
    """The reference of an image of this project: ``image("data")`` is ``ghcr.io/fec-pipeline/fec-data:latest``."""
    return f"{registry.rstrip('/')}/fec-{name}:{tag}"


# What the components name until ``fec compile`` is given others.
DATA_IMAGE: Final = image("data")
TRAIN_IMAGE: Final = image("train")
T2T_IMAGE: Final = image("t2t")
