"""The file of the images that were pushed, by digest: fec images build writes it, fec compile and submit read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from components.placement import wrong_image
from fec.errors import ConfigurationError
from pipelines.image_build.source import IMAGES


def read_pinned(path: str) -> dict[str, str]:
    """The references in the file at ``path``, by the image's name (data, train, …); none for ``""``.

    Raises ConfigurationError for a file that is no such.
    """
    if not path:
        return {}
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise ConfigurationError(
            f"images {path}: {reason}; fec images build --push --images {path} writes it"
        ) from None
    good = isinstance(found, dict) and all(
        name in IMAGES and isinstance(reference, str) and not wrong_image(reference)
        for name, reference in found.items()
    )
    if not good:
        raise ConfigurationError(f"images {path}: expected references by name, one of {', '.join(IMAGES)}")
    return dict(found)


def write_pinned(path: str, references: Mapping[str, str]) -> None:
    """Put ``references`` by name into the file at ``path``; what it says of other images stays."""
    known = read_pinned(path) if Path(path).exists() else {}
    Path(path).write_text(json.dumps(known | dict(references), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def refuse_pinned(path: str) -> str:
    """What is wrong with the file at ``path``; "" for a good one."""
    try:
        read_pinned(path)
    except ConfigurationError as error:
        return str(error).partition(": ")[2]
    return ""
