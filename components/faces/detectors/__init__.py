"""Face detectors by name. Each has its own scale: 0.7 of one is not 0.7 of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from components.faces.detectors.found import Detector, Found
from fec.errors import ConfigurationError

__all__ = ["Detector", "Found", "load"]


def _yunet(weights: str) -> Detector:
    from components.faces.detectors.yunet import YuNet

    return YuNet()


def _faced(weights: str) -> Detector:
    from components.faces.detectors import faced

    return faced.load(weights)


# By the names in components.faces.parameters.DETECTORS.
_DETECTORS: Final[dict[str, Callable[[str], Detector]]] = {"yunet": _yunet, "faced": _faced}


def load(name: str, weights: str = "") -> Detector:
    """The detector called ``name``; ``weights`` is the folder of those whose weights the user brings.

    Raises ConfigurationError for an unknown name, and for weights that are missing or not the right ones.
    """
    if name not in _DETECTORS:
        raise ConfigurationError(f"detector {name!r} is not known; choose one of {', '.join(_DETECTORS)}")
    return _DETECTORS[name](weights)
