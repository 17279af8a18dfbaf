"""Brings a compiled pipeline to Kubeflow Pipelines and runs it: what is there already is used, not made again."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fec.errors import ConfigurationError, RunFailed
from fec.identity import fingerprint
from fec.progress import event
from pipelines.kubeflow.endpoint import Endpoint, Unavailable, Unreachable

# Hex digits of a version's name: 64 bits tell all files apart that one pipeline will ever have.
VERSION_DIGITS: Final = 16
# Seconds that the API may be gone while we wait for a run.
PATIENCE: Final = 600.0
PAGE: Final = 100
SUCCEEDED: Final = ("SUCCEEDED", "SKIPPED")
FAILED: Final = ("FAILED", "CANCELED")
# A run that is coming to such an end is no run to come back to.
LOST: Final = (*FAILED, "CANCELING")


@dataclass(frozen=True)
class Submission:
    """What is to be run: a compiled pipeline and the values of its parameters, and what to call it all.

    A ``run_name`` of "" names the run after its pipeline, version and parameters.
    """

    package: Path
    parameters: Mapping[str, Any]
    pipeline_name: str = "fec"
    experiment: str = "fec"
    run_name: str = ""
    service_account: str = ""


@dataclass(frozen=True)
class Submitted:
    """A run that Kubeflow has: its URL, and whether it was there before."""

    run_id: str
    url: str
    reused: bool


def check_names(submission: Submission) -> None:
    """Raises ConfigurationError for names that Kubeflow would refuse."""
    for what, name in (("pipeline name", submission.pipeline_name), ("experiment", submission.experiment)):
        if not name.strip():
            raise ConfigurationError(f"{what} {name!r}: expected a name")


def version_name(package: Path) -> str:
    """A name that follows from what the compiled file says."""
    return hashlib.sha256(package.read_bytes()).hexdigest()[:VERSION_DIGITS]


def submit(endpoint: Endpoint, submission: Submission) -> Submitted:
    """See to it that Kubeflow has the pipeline, this version of it, the experiment and the run; say where it is."""
    pipeline_id = _pipeline(endpoint, submission.pipeline_name)
    version = version_name(submission.package)
    version_id = _version(endpoint, pipeline_id, version, submission.package)
    experiment_id = _experiment(endpoint, submission.experiment)
    name = submission.run_name or _run_name(submission, version)
    earlier = _earlier_run(endpoint, experiment_id, name, version_id, submission.parameters)
    if earlier is not None:
        event("run_reused", f"run {name!r} is there already: {earlier.state}; another --run-name makes another")
        return Submitted(earlier.run_id, endpoint.run_url(earlier.run_id), reused=True)
    run = endpoint.call(
        endpoint.client.runs.run_service_create_run,
        endpoint.client.api_models.V2beta1Run(
            experiment_id=experiment_id,
            display_name=name,
            pipeline_version_reference=endpoint.client.api_models.V2beta1PipelineVersionReference(
                pipeline_id=pipeline_id, pipeline_version_id=version_id
            ),
            runtime_config=endpoint.client.api_models.V2beta1RuntimeConfig(parameters=dict(submission.parameters)),
            service_account=submission.service_account or None,
        ),
    )
    event("run_created", f"run {name!r} created")
    return Submitted(run.run_id, endpoint.run_url(run.run_id), reused=False)


def wait(endpoint: Endpoint, run_id: str, *, timeout: float = 0.0, interval: float = 10.0) -> None:
    """Return when the run has succeeded, saying how far it is.

    ``timeout`` (seconds, 0: none) ends the waiting, not the run. Raises RunFailed where the run failed, with the tasks
    that did, where time is up, and where the API was gone for longer than PATIENCE.
    """
    started = answered = time.monotonic()
    said = ""
    while True:
        try:
            run = endpoint.call(endpoint.client.runs.run_service_get_run, run_id)
            answered = time.monotonic()
        except (Unavailable, Unreachable) as error:
            if time.monotonic() - answered > PATIENCE:
                raise RunFailed(f"{error}; the run goes on, and the same command waits for it again") from None
            time.sleep(interval)
            continue
        line = _progress(run)
        if line != said:
            event("progress", line, state=run.state)
            said = line
        if run.state in SUCCEEDED:
            return
        if run.state in FAILED:
            raise RunFailed(_failure(run, endpoint.run_url(run_id)))
        if timeout and time.monotonic() - started + interval > timeout:
            raise RunFailed(f"the run is still {run.state} after {timeout:g} s; it goes on, {endpoint.run_url(run_id)}")
        time.sleep(interval)


def _pipeline(endpoint: Endpoint, name: str) -> str:
    """The id of the pipeline of this name, made if need be."""
    functions, models = endpoint.client.pipelines, endpoint.client.api_models
    options = {"namespace": endpoint.namespace} if endpoint.namespace else {}
    for found in _listed(endpoint, functions.pipeline_service_list_pipelines, "pipelines", name, **options):
        return str(found.pipeline_id)
    made = endpoint.call(
        functions.pipeline_service_create_pipeline,
        models.V2beta1Pipeline(name=name, display_name=name, namespace=endpoint.namespace),
    )
    event("pipeline_created", f"pipeline {name!r} created")
    return str(made.pipeline_id)


def _version(endpoint: Endpoint, pipeline_id: str, name: str, package: Path) -> str:
    """The id of the version of this name, uploaded if need be."""
    functions = endpoint.client.pipelines
    versions = _listed(
        endpoint, functions.pipeline_service_list_pipeline_versions, "pipeline_versions", name, pipeline_id
    )
    for found in versions:
        event("version_reused", f"version {name} is there already")
        return str(found.pipeline_version_id)
    made = endpoint.call(
        endpoint.client.pipeline_uploads.upload_pipeline_version, str(package), name=name, pipelineid=pipeline_id
    )
    event("version_uploaded", f"version {name} uploaded")
    return str(made.pipeline_version_id)


def _experiment(endpoint: Endpoint, name: str) -> str:
    """The id of the experiment of this name, made if need be."""
    functions, models = endpoint.client.experiments, endpoint.client.api_models
    options = {"namespace": endpoint.namespace} if endpoint.namespace else {}
    for found in _listed(endpoint, functions.experiment_service_list_experiments, "experiments", name, **options):
        return str(found.experiment_id)
    made = endpoint.call(
        functions.experiment_service_create_experiment,
        models.V2beta1Experiment(display_name=name, namespace=endpoint.namespace),
    )
    event("experiment_created", f"experiment {name!r} created")
    return str(made.experiment_id)


def _earlier_run(
    endpoint: Endpoint, experiment_id: str, name: str, version_id: str, parameters: Mapping[str, Any]
) -> Any | None:
    """A run of the same name, version and parameters that has not failed, or None."""
    functions = endpoint.client.runs
    for run in _listed(endpoint, functions.run_service_list_runs, "runs", name, experiment_id=experiment_id):
        reference, config = run.pipeline_version_reference, run.runtime_config
        same_version = reference is not None and reference.pipeline_version_id == version_id
        same_parameters = dict((config and config.parameters) or {}) == dict(parameters)
        if same_version and same_parameters and run.state not in LOST and run.storage_state != "ARCHIVED":
            return run
    return None


def _listed(
    endpoint: Endpoint, function: Callable[..., Any], field: str, name: str, *arguments: str, **options: Any
) -> Iterator[Any]:
    """Everything a list function of the API has under this display name, newest first, page by page."""
    predicate = {"operation": "EQUALS", "key": "display_name", "string_value": name}
    wanted = json.dumps({"predicates": [predicate]})
    token = ""
    while True:
        page = endpoint.call(
            function,
            *arguments,
            filter=wanted,
            page_size=PAGE,
            page_token=token,
            sort_by="created_at desc",
            **options,
        )
        yield from getattr(page, field) or []
        token = page.next_page_token or ""
        if not token:
            return


def _run_name(submission: Submission, version: str) -> str:
    parameters = fingerprint({"version": version, "parameters": dict(submission.parameters)})
    return f"{submission.pipeline_name}-{parameters[:8]}"


def _tasks(run: Any) -> list[Any]:
    return list((run.run_details and run.run_details.task_details) or [])


def _progress(run: Any) -> str:
    states = Counter(task.state for task in _tasks(run) if task.state)
    counts = " ".join(f"{state.lower()}={number}" for state, number in sorted(states.items()))
    return f"run {run.state}: {sum(states.values())} tasks {counts}" if states else f"run {run.state}"


def _failure(run: Any, url: str) -> str:
    """Why a run failed, in one line: its own error, and the tasks that did with theirs."""
    reasons = []
    for task in _tasks(run):
        if task.state == "FAILED":
            message = " ".join((task.error.message if task.error else "").split())
            reasons.append(f"{task.display_name} ({message})" if message else str(task.display_name))
    of_run = " ".join((run.error.message if run.error else "").split())
    failed = f"in {', '.join(reasons)}" if reasons else of_run
    return f"the run {run.state.lower()} {failed}; {url}".replace(" ;", ";")
