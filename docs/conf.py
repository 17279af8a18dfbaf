"""The site: make docs. Its pages are the Markdown that a reader of the repository sees, wherever it lies there."""

from __future__ import annotations

from importlib.metadata import version as installed

project = "fec"
author = "the fec project"
copyright = "the fec project, Apache-2.0"
release = version = installed("fec")

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "components/*/README.md",
    "pipelines/t2t/README.md",
]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "fec"
html_show_sphinx = False
