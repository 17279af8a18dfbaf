"""A run by what fec submit printed of it: where it keeps everything, and the engine's name of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from fec.errors import ConfigurationError
from pipelines.kubeflow.endpoint import Access, connect
from pipelines.kubeflow.watch import workflow_of

_ID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_RUN: Final = re.compile(rf"(?:(?P<endpoint>https?://\S+?)/#/runs/details/)?(?P<run>{_ID})")


@dataclass(frozen=True)
class Found:
    """The storage root of a run, and the engine's name of it, such as fec-x7k2p."""

    root: str
    workflow: str


def is_run(text: str) -> bool:
    """Whether ``text`` is a run's URL or id, and no storage root."""
    return _RUN.fullmatch(text) is not None


def find_run(text: str, access: Access) -> Found:
    """The run of this URL or id, asked of the API: that of the URL unless ``access`` names one.

    Raises ConfigurationError where there is no such run, or it has started nothing yet.
    """
    match = _RUN.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"{text!r}: expected a run's URL or id, as fec submit printed it")
    if match["endpoint"] and not access.endpoint:
        access = replace(access, endpoint=match["endpoint"])
    endpoint = connect(access)
    run = endpoint.call(endpoint.client.runs.run_service_get_run, match["run"])
    root = str(((run.runtime_config and run.runtime_config.parameters) or {}).get("root", ""))
    workflow = workflow_of(run)
    if not root or not workflow:
        raise ConfigurationError(f"run {match['run']}: it is {run.state}, and no task of it has started yet")
    return Found(root, workflow)
