"""Write down how a run ended, how far it came, and where to look: also, and above all, when it failed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from fec import layout
from fec.command import parameter
from fec.errors import ConfigurationError
from fec.progress import event
from fec.storage import open_storage

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


@dataclass(frozen=True)
class Parameters:
    """What is summarized."""

    root: str = parameter(help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    run: str = parameter(help="the engine's name of the run", default="local")
    state: str = parameter(help="how it ended, in the engine's words", default="UNKNOWN")
    error: str = parameter(help="what the engine says of a failure", default="")
    page: str = parameter(help="a local file that gets the summary as Markdown too", default="")


def run(parameters: Parameters) -> str:
    """Write ``runs/<run>/summary.json``, in place of an older one; returns its full path.

    Nothing of the run needs to be there: what is missing is said to be missing. Raises ConfigurationError for a root
    that cannot be used and for a run that is no name of a folder.
    """
    if not _RUN.fullmatch(parameters.run):
        raise ConfigurationError(
            f"run {parameters.run!r}: expected the name of a folder, of letters, digits, '.', '_' and '-'"
        )
    from components.summarize.standing import markdown, standing

    storage = open_storage(parameters.root)
    found = standing(storage, run=parameters.run, state=parameters.state, error=parameters.error)
    if parameters.page:
        with open(parameters.page, "w", encoding="utf-8") as file:
            file.write(markdown(found))
    path = layout.run_summary(parameters.run)
    storage.write(path, (json.dumps(found, indent=1) + "\n").encode())
    event("summarized", f"run {parameters.run} ended {parameters.state}; {storage.root}/{path}")
    return f"{storage.root}/{path}"
