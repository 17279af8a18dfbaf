"""One image to build: what engine-independent facts its build takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.image_build.source import Source

DEFAULT_BASE_IMAGE = "python:3.11-slim-bookworm"

SBOM = "/opt/fec/sbom.cdx.json"
"""Where in each image its bill of materials lies (CycloneDX, JSON)."""


@dataclass(frozen=True)
class Recipe:
    """An image: its name, the reference it gets and what its Dockerfile is given."""

    name: str
    reference: str
    build_dir: Path
    source: Source
    base_image: str = DEFAULT_BASE_IMAGE
    build_args: Mapping[str, str] = field(default_factory=dict)
    cache_from: tuple[str, ...] = ()

    @property
    def dockerfile(self) -> str:
        """The Dockerfile's path in the build context."""
        return f"images/{self.name}/Dockerfile"

    def arguments(self) -> dict[str, str]:
        """Every build argument, by name; the user's own win over ours."""
        return {
            "BASE_IMAGE": self.base_image,
            "SOURCE": self.source.url,
            "REVISION": self.source.revision,
            "VERSION": self.source.version,
            "CREATED": self.source.created,
            **self.build_args,
        }
