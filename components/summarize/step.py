"""Write down how a run ended, how far it came, and where to look: also, and above all, when it failed."""

from __future__ import annotations

import json
from dataclasses import asdict

from components.summarize.parameters import Parameters
from fec import layout
from fec.progress import event
from fec.storage import open_storage

__all__ = ["Parameters", "run"]


def run(parameters: Parameters) -> str:
    """Write ``runs/<run>/summary.json``, in place of an older one; returns its full path.

    Nothing of the run needs to be there: what is missing is said to be missing. Raises ConfigurationError for a root
    that cannot be used and for a run that is no name of a folder.
    """
    from components.again import note_finished
    from components.summarize.judgement import SUCCEEDED
    from components.summarize.work import markdown, summary_of

    storage = open_storage(parameters.root)
    summary = summary_of(storage, run=parameters.run, state=parameters.state, error=parameters.error)
    if parameters.page:
        with open(parameters.page, "w", encoding="utf-8") as file:
            file.write(markdown(summary))
    path = layout.run_summary(parameters.run)
    storage.write(path, (json.dumps(asdict(summary), indent=1) + "\n").encode())
    if summary.state == SUCCEEDED:
        note_finished(storage, parameters.run)
    event("summarized", f"run {parameters.run}: {summary.state} {'; '.join(summary.why)}".rstrip())
    return f"{storage.root}/{path}"
