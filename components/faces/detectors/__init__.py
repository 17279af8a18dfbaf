"""Face detectors by name. Each has its own scale: 0.7 of one is not 0.7 of another.

Others come by entry points of the group ``fec.detectors``: a function that is given the folder of
``--detector-weights`` and gives a Detector. ``A+B`` asks both, for any two.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final

from components.faces.detectors.found import Detector, Found
from components.faces.parameters import DETECTORS, GROUP, known_detectors
from fec.errors import ConfigurationError

__all__ = ["Detector", "Found", "load"]


def _yunet(weights: str) -> Detector:
    from components.faces.detectors.yunet import YuNet

    return YuNet()


def _faced(weights: str) -> Detector:
    from components.faces.detectors import faced

    return faced.load(weights)


def _none(weights: str) -> Detector:
    from components.faces.detectors.trusting import Trusting

    return Trusting()


# By the names in components.faces.parameters.DETECTORS.
_DETECTORS: Final[dict[str, Callable[[str], Detector]]] = {"yunet": _yunet, "faced": _faced, "none": _none}


def load(name: str, weights: str = "") -> Detector:
    """The detector called ``name``; ``weights`` is the folder of those whose weights the user brings.

    Raises ConfigurationError for an unknown name, and for weights that are missing or not the right ones.
    """
    if "+" in name:
        from components.faces.detectors.both import Both

        first, _, second = name.partition("+")
        return Both(load(first, weights), load(second, weights))
    if name in DETECTORS:
        return _DETECTORS[name](weights)
    for point in entry_points(group=GROUP, name=name):
        detector: Detector = point.load()(weights)
        return detector
    raise ConfigurationError(f"detector {name!r} is not known; choose one of {', '.join(known_detectors())}")
