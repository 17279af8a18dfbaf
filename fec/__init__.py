"""What the steps share: the vocabulary, the file formats and the storage root.

For use in Python there are ``fec.open(root)`` and ``fec.load_embedder(model)``; what they need is imported when they
are first used. The embedder lies above all steps, whose way from a photograph to a crop it goes: that name leads out
of this layer, and none else does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fec.dataset import Dataset as Dataset
    from fec.dataset import Table as Table
    from fec.dataset import open as open
    from pipelines.embedding.embedder import Embedder as Embedder
    from pipelines.embedding.embedder import load_embedder as load_embedder

_EMBEDDER: Final = "pipelines.embedding.embedder"
_PLACES: Final = {
    "Dataset": "fec.dataset",
    "Embedder": _EMBEDDER,
    "Table": "fec.dataset",
    "load_embedder": _EMBEDDER,
    "open": "fec.dataset",
}

__all__ = ["Dataset", "Embedder", "Table", "load_embedder", "open"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
