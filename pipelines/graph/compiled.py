"""Reads a compiled pipeline back."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from fec.errors import ConfigurationError


def read_spec(package: Path) -> dict[str, Any]:
    """The pipeline's specification, the first document of ``package``; ConfigurationError if there is none."""
    spec = next(iter(_documents(package)), None)
    if not isinstance(spec, dict) or not {"pipelineInfo", "root", "components", "deploymentSpec"} <= set(spec):
        raise ConfigurationError(f"{package} is no compiled pipeline; fec compile writes one")
    return spec


def read_platform(package: Path) -> dict[str, Any]:
    """What Kubernetes is told of each executor, from the second document of ``package``; empty if there is none."""
    second = [*_documents(package), {}, {}][1]
    found: dict[str, Any] = (
        second.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    )
    return found


def mounts(package: Path) -> list[str]:
    """Where the compiled pipeline's tasks have a volume claim mounted, a folder that they share."""
    found = {
        mount["mountPath"] for settings in read_platform(package).values() for mount in settings.get("pvcMount", ())
    }
    return sorted(found)


def _documents(package: Path) -> list[Any]:
    try:
        return _parsed(package.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{package}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        return []


@lru_cache(maxsize=2)
def _parsed(text: str) -> list[Any]:
    """The documents of a file that is looked at from several sides, parsed once; nobody changes them."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast
    return list(yaml.load_all(text, Loader=loader))
