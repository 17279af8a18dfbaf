"""What is wrong with the words of a compile-time option, such as NAME=VALUE or pvc:NAME:/PATH: "" for good ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from components.placement import wrong_image, wrong_name

# What has an image of its own.
IMAGES: Final = ("data", "train", "evaluate")
# Where a pod has something mounted already.
TAKEN: Final = ("/", "/tmp", "/dev", "/dev/shm", "/proc", "/sys", "/opt/fec")  # noqa: S108 - of the pod


@dataclass(frozen=True)
class Volume:
    """A ``pvc`` or a ``secret`` of this name, mounted at ``path``."""

    kind: str
    name: str
    path: str

    @classmethod
    def of(cls, text: str) -> Volume:
        """From ``pvc:NAME:/PATH``."""
        return cls(*text.split(":", 2))


def wrong_registry(registry: str) -> str:
    """Where images are: a host, and folders there."""
    wrong = registry and wrong_image(f"{registry.rstrip('/')}/fec-data:latest")
    return "expected a registry, such as ghcr.io/me" if wrong else ""


def wrong_tag(tag: str) -> str:
    return "expected a name for a tag, such as v1" if wrong_image(f"ghcr.io/me/fec-data:{tag}") else ""


def wrong_images(given: Iterable[str]) -> str:
    for text in given:
        name, equals, reference = text.partition("=")
        if not equals or name not in IMAGES or wrong_image(reference):
            return f"{text!r}: expected NAME=REFERENCE, NAME one of {', '.join(IMAGES)}"
    return ""


def wrong_secret(name: str) -> str:
    return wrong_name(name) if name else ""


def wrong_secrets(names: Iterable[str]) -> str:
    return next((f"{name!r}: {wrong}" for name in names if (wrong := wrong_name(name))), "")


def wrong_volumes(given: Iterable[str]) -> str:
    """Volumes with a path of their own, where nothing else is mounted."""
    paths: set[str] = set()
    for text in given:
        kind, _, rest = text.partition(":")
        name, _, path = rest.partition(":")
        if kind not in ("pvc", "secret") or wrong_name(name) or not path.startswith("/") or ":" in path:
            return f"{text!r}: expected pvc:NAME:/PATH or secret:NAME:/PATH"
        path = str(PurePosixPath(path))
        if path in TAKEN or ".." in path.split("/") or path in paths:
            return f"{text!r}: there is something mounted at {path} already; take another path, /data say"
        paths.add(path)
    return ""


def wrong_environment(given: Iterable[str]) -> str:
    names: set[str] = set()
    for text in given:
        name = text.partition("=")[0]
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=.*", text, re.DOTALL):
            return f"{text!r}: expected NAME=VALUE"
        if name in names:
            return f"{name} is given twice"
        names.add(name)
    return ""
