"""The container images the components run in, and how an image is named."""

from __future__ import annotations

import os
from typing import Final

# Where the images are is for whoever built them to say (``fec images build``): there is none that all could pull.
REGISTRY: Final = os.environ.get("FEC_REGISTRY", "")
TAG: Final = os.environ.get("FEC_TAG", "latest")


def image(name: str, registry: str = REGISTRY, tag: str = TAG) -> str:
    """The reference of an image of this project: ``image("data", "ghcr.io/me")`` is ``ghcr.io/me/fec-data:latest``.

    Without a registry it names what a local engine has.
    """
    return f"{registry.rstrip('/')}/fec-{name}:{tag}".lstrip("/")


# What the components name until ``fec compile`` is given others.
DATA_IMAGE: Final = image("data")
TRAIN_IMAGE: Final = image("train")
T2T_IMAGE: Final = image("t2t")
