"""What can be asked of the summarize step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fec.parameters import StepParameters, parameter, refuse_folder_name, root

# A summary is written anew each time; the version only names it.
VERSION: Final = 1


@dataclass(frozen=True)
class Parameters(StepParameters, step="summarize", version=VERSION):
    """What is summarized."""

    root: str = root()
    run: str = parameter("the engine's name of the run", default="local", refuse=refuse_folder_name)
    state: str = parameter("how it ended, in the engine's words", default="UNKNOWN")
    error: str = parameter("what the engine says of a failure", default="")
    page: str = parameter("a local file that gets the summary as Markdown too", default="", shapes_result=False)
