"""Whether a run on an engine asks once more for what an earlier one has finished: its loops then need but one group.

The first task notes what the run was asked for, the summary of a run that succeeded keeps that as finished. A run that
is asked for the same is the recurring one that finds nothing to do: 42 pods look at the markers then, not 410.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from components.options import STEPS, parameters_of
from fec import identity, layout
from fec.storage import Storage, open_storage
from fec.task_records import run_name

_FORM: Final = "form"


def fingerprint_of(form: Mapping[str, Any]) -> str:
    """Of what a run was asked for, and of the code that does it."""
    versions = {step: parameters_of(step).version for step in STEPS}
    return identity.fingerprint({"form": dict(form), "versions": versions})


def note(storage: Storage, run: str, form: Mapping[str, Any], places: Mapping[str, Any]) -> None:
    """Note below the root what ``run`` is asked for, and to which nodes its tasks go."""
    noted = {**places, _FORM: fingerprint_of(form)}
    storage.write(layout.run_places(run), (json.dumps(noted) + "\n").encode())


def note_finished(storage: Storage, run: str) -> None:
    """Keep as finished what ``run`` was asked for, if its first task has noted it."""
    form = read_object(storage, layout.run_places(run)).get(_FORM)
    if form:
        storage.write(layout.FINISHED, (json.dumps({"run": run, _FORM: form}) + "\n").encode())


def one_group_if_finished(root: str, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The parameters of a task that deals out groups, where all that the run asks for was finished before."""
    run = run_name(environment)
    if not run:
        return {}
    storage = open_storage(root)
    asked = read_object(storage, layout.run_places(run)).get(_FORM)
    finished = read_object(storage, layout.FINISHED).get(_FORM)
    return {"max_groups": 1} if asked and asked == finished else {}


def read_object(storage: Storage, path: str) -> dict[str, Any]:
    """The JSON object at ``path``; empty where there is none."""
    try:
        found = json.loads(storage.read(path))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
