"""Reads a compiled pipeline back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fec.errors import ConfigurationError


def read_spec(package: Path) -> dict[str, Any]:
    """The pipeline's specification, the first document of ``package``; ConfigurationError if there is none."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast
    try:
        with open(package, encoding="utf-8") as file:
            spec = next(yaml.load_all(file, Loader=loader))
    except OSError as error:
        raise ConfigurationError(f"{package}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, StopIteration):
        spec = None
    if not isinstance(spec, dict) or not {"pipelineInfo", "root", "components", "deploymentSpec"} <= set(spec):
        raise ConfigurationError(f"{package} is no compiled pipeline; fec compile writes one")
    return spec
