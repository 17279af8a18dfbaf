"""What the steps share: the vocabulary, the file formats and the storage root.

For use in Python: ``fec.open(root)``. Nothing is imported before that is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fec.dataset import Dataset as Dataset
    from fec.dataset import Table as Table
    from fec.dataset import open as open

_PLACES: Final = {"Dataset": "fec.dataset", "Table": "fec.dataset", "open": "fec.dataset"}

__all__ = ["Dataset", "Table", "open"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
