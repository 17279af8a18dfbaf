"""Brings a compiled pipeline to Kubeflow Pipelines and runs it: what is there already is used, not made again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fec.errors import ConfigurationError, RunFailed
from fec.identity import fingerprint
from fec.progress import event
from pipelines.kubeflow.endpoint import Endpoint, Unavailable, Unreachable
from pipelines.kubeflow.watch import Watch

# Hex digits of a version's name: 64 bits tell all files apart that one pipeline will ever have.
VERSION_DIGITS: Final = 16
# Seconds that the API may be gone while we wait for a run.
PATIENCE: Final = 600.0
PAGE: Final = 100
# Characters of a name: the narrowest column of the engine's own database.
MAX_NAME: Final = 128
SUCCEEDED: Final = ("SUCCEEDED", "SKIPPED")
FAILED: Final = ("FAILED", "CANCELED")
# A run that is coming to such an end is no run to come back to.
LOST: Final = (*FAILED, "CANCELING")


@dataclass(frozen=True)
class Submission:
    """What is to be run: a compiled pipeline and the values of its parameters, and what to call it all.

    A ``run_name`` of "" names the run after its pipeline, version and parameters. ``about`` describes the pipeline on
    the engine's pages, ``version_about`` what was compiled: images, accelerator, options.
    """

    package: Path
    parameters: Mapping[str, Any]
    pipeline_name: str = "fec"
    experiment: str = "fec"
    run_name: str = ""
    service_account: str = ""
    about: str = ""
    version_about: str = ""


@dataclass(frozen=True)
class Submitted:
    """A run that Kubeflow has: its URL, and whether it was there before."""

    run_id: str
    url: str
    reused: bool


def check_names(submission: Submission) -> None:
    """Raises ConfigurationError for names that Kubeflow would refuse, some of them with an HTTP 500."""
    for what, name in (
        ("pipeline name", submission.pipeline_name),
        ("experiment", submission.experiment),
        ("run name", submission.run_name or "named by us"),
    ):
        if not name.strip() or len(name) > MAX_NAME:
            shown = name if len(name) <= MAX_NAME else f"{name[:20]}…"
            raise ConfigurationError(f"{what} {shown!r}: expected a name of at most {MAX_NAME} characters")
        if not name.isprintable():
            raise ConfigurationError(f"{what} {name!r}: there is a line break or another control character in it")


def version_name(package: Path) -> str:
    """A name that follows from what the compiled file says."""
    return hashlib.sha256(package.read_bytes()).hexdigest()[:VERSION_DIGITS]


def submit(endpoint: Endpoint, submission: Submission) -> Submitted:
    """See to it that Kubeflow has the pipeline, this version of it, the experiment and the run; say where it is."""
    made = _made(endpoint, submission)
    earlier = _earlier_run(endpoint, made.experiment_id, made.name, made.version_id, submission.parameters)
    if earlier is not None:
        event("run_reused", f"run {made.name!r} is there already: {earlier.state}; another --run-name makes another")
        return Submitted(earlier.run_id, endpoint.run_url(earlier.run_id), reused=True)
    models = endpoint.client.api_models
    run = endpoint.call(
        endpoint.client.runs.run_service_create_run,
        models.V2beta1Run(
            experiment_id=made.experiment_id,
            display_name=made.name,
            description=submission.version_about or None,
            pipeline_version_reference=made.reference(models),
            runtime_config=models.V2beta1RuntimeConfig(parameters=dict(submission.parameters)),
            service_account=submission.service_account or None,
        ),
    )
    event("run_created", f"run {made.name!r} created")
    return Submitted(run.run_id, endpoint.run_url(run.run_id), reused=False)


def schedule(endpoint: Endpoint, submission: Submission, hours: float) -> str:
    """Have Kubeflow start the run every so many hours, one at a time, unless it does so already; its URL.

    Each goes on where the one before it was; on a finished root each step finds its marker and ends.
    """
    made = _made(endpoint, submission)
    functions, models = endpoint.client.recurring_runs, endpoint.client.api_models
    list_function = functions.recurring_run_service_list_recurring_runs
    for found in _listed(endpoint, list_function, "recurring_runs", made.name, experiment_id=made.experiment_id):
        event("schedule_reused", f"recurring run {made.name!r} is there already: {found.status}")
        return f"{endpoint.pages}/#/recurringrun/details/{found.recurring_run_id}"
    recurring = endpoint.call(
        functions.recurring_run_service_create_recurring_run,
        models.V2beta1RecurringRun(
            display_name=made.name,
            description=submission.version_about or None,
            experiment_id=made.experiment_id,
            pipeline_version_reference=made.reference(models),
            runtime_config=models.V2beta1RuntimeConfig(parameters=dict(submission.parameters)),
            service_account=submission.service_account or None,
            max_concurrency="1",
            no_catchup=True,
            mode=models.RecurringRunMode.ENABLE,
            trigger=models.V2beta1Trigger(
                periodic_schedule=models.V2beta1PeriodicSchedule(interval_second=str(round(hours * 3600)))
            ),
        ),
    )
    event("schedule_created", f"recurring run {made.name!r} created: every {hours:g} hours, one at a time")
    return f"{endpoint.pages}/#/recurringrun/details/{recurring.recurring_run_id}"


@dataclass(frozen=True)
class _Made:
    """What a run is made from, as Kubeflow knows it, and the run's name."""

    pipeline_id: str
    version_id: str
    experiment_id: str
    name: str

    def reference(self, models: Any) -> Any:
        return models.V2beta1PipelineVersionReference(pipeline_id=self.pipeline_id, pipeline_version_id=self.version_id)


def _made(endpoint: Endpoint, submission: Submission) -> _Made:
    """The pipeline, its version and the experiment, made if need be."""
    pipeline_id = _pipeline(endpoint, submission)
    version = version_name(submission.package)
    version_id = _version(endpoint, pipeline_id, version, submission)
    experiment_id = _experiment(endpoint, submission.experiment)
    return _Made(pipeline_id, version_id, experiment_id, submission.run_name or _run_name(submission, version))


def wait(endpoint: Endpoint, run_id: str, watch: Watch, *, timeout: float = 0.0, interval: float = 10.0) -> None:
    """Return when the run has succeeded, saying how far it is.

    ``timeout`` (seconds, 0: none) ends the waiting, not the run. Raises RunEnded where the run failed, with the cause
    as far as ``watch`` sees it, and RunFailed where time is up, and where the API was gone for longer than PATIENCE.
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
        line = watch.progress(run)
        if line != said:
            event("progress_of_run", line, state=run.state)
            said = line
        if run.state in SUCCEEDED:
            watch.check_success(run, endpoint.run_url(run_id))
            return
        if run.state in FAILED:
            raise watch.failure(run, endpoint.run_url(run_id))
        if timeout and time.monotonic() - started + interval > timeout:
            raise RunFailed(f"the run is still {run.state} after {timeout:g} s; it goes on, {endpoint.run_url(run_id)}")
        time.sleep(interval)


def _pipeline(endpoint: Endpoint, submission: Submission) -> str:
    """The id of the pipeline of this name, made if need be."""
    name = submission.pipeline_name
    functions, models = endpoint.client.pipelines, endpoint.client.api_models
    options = {"namespace": endpoint.namespace} if endpoint.namespace else {}
    for found in _listed(endpoint, functions.pipeline_service_list_pipelines, "pipelines", name, **options):
        return str(found.pipeline_id)
    made = endpoint.call(
        functions.pipeline_service_create_pipeline,
        models.V2beta1Pipeline(
            name=name,
            display_name=name,
            description=submission.about or None,
            namespace=endpoint.namespace,
        ),
    )
    event("pipeline_created", f"pipeline {name!r} created")
    return str(made.pipeline_id)


def _version(endpoint: Endpoint, pipeline_id: str, name: str, submission: Submission) -> str:
    """The id of the version of this name, uploaded if need be."""
    functions = endpoint.client.pipelines
    versions = _listed(
        endpoint, functions.pipeline_service_list_pipeline_versions, "pipeline_versions", name, pipeline_id
    )
    for found in versions:
        event("version_reused", f"version {name} is there already")
        return str(found.pipeline_version_id)
    options = {"description": submission.version_about} if submission.version_about else {}
    made = endpoint.call(
        endpoint.client.pipeline_uploads.upload_pipeline_version,
        str(submission.package),
        name=name,
        pipelineid=pipeline_id,
        **options,
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
