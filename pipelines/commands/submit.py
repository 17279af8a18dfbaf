"""``fec submit``: compile, upload, run, and wait if asked to."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import MISSING, Field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fec import command
from fec.errors import ConfigurationError
from fec.parameters import fields
from fec.progress import event
from pipelines.graph.options import CompileOptions
from pipelines.kubeflow.endpoint import Access

if TYPE_CHECKING:
    from pipelines.kubeflow.submit import Submission

# The exit code of a command that Ctrl-C ended, as shells have it.
INTERRUPTED = 130
# Looks that are left out between two attempts, twice as many each time: a minute at first.
PAUSES = 6

SUMMARY = "Run the pipeline on Kubeflow Pipelines: compile it, upload it if it is new, start it, and wait if asked to."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "parameters", nargs="*", metavar="NAME=VALUE", help="parameters of the pipeline, root=gs://… say"
    )
    parser.add_argument(
        "-f", "--package-file", default="", help="submit this compiled pipeline; its compile-time options are in it"
    )
    names = parser.add_argument_group("what it is called")
    names.add_argument("--experiment", default="fec", help="(default: %(default)s)")
    names.add_argument("--pipeline-name", default="fec", help="(default: %(default)s)")
    names.add_argument("--run-name", default="", help="(default: after the version and the parameters)")
    names.add_argument("--run-service-account", default="", help="Kubernetes service account the run's pods use")
    waiting = parser.add_argument_group("waiting")
    waiting.add_argument("--wait", action="store_true", help="return when the run has ended: 0 succeeded, 1 failed")
    waiting.add_argument(
        "--attempts",
        type=int,
        default=1,
        help="with --wait: start a run that ended for a passing cause again on its root, up to so many runs in all "
        "(default: %(default)s)",
    )
    waiting.add_argument(
        "--every-hours",
        type=float,
        default=0.0,
        help="instead of one run, have Kubeflow start it every so many hours, one at a time: each goes on where the "
        "one before it was, and does nothing on a finished root",
    )
    waiting.add_argument("--timeout", type=float, default=0.0, help="seconds to wait at most, 0: for ever")
    waiting.add_argument(
        "--poll-interval", type=float, default=10.0, help="seconds between looks (default: %(default)s)"
    )
    command.add_options(parser.add_argument_group("Kubeflow Pipelines"), Access)
    command.add_options(parser.add_argument_group("compile-time options, as fec compile"), CompileOptions)


def run(options: argparse.Namespace) -> int:
    access = command.parameters_from(Access, options)
    compile_options = command.parameters_from(CompileOptions, options)
    _check(options, compile_options)

    from pipelines.graph.option_words import wrong_secret
    from pipelines.kubeflow import submit
    from pipelines.kubeflow.controller import advice
    from pipelines.kubeflow.endpoint import connect
    from pipelines.kubeflow.watch import RunEnded, Watch

    with tempfile.TemporaryDirectory() as folder:
        submission = _submission(options, compile_options, Path(folder))
        submit.check_names(submission)
        if wrong := wrong_secret(submission.service_account):
            raise ConfigurationError(f"--run-service-account {submission.service_account!r}: {wrong}")
        endpoint = connect(access)
        if said := advice(access.kube_context):
            event("advice", said)
        if options.every_hours:
            print(submit.schedule(endpoint, submission, options.every_hours), flush=True)
            return 0
        watch = Watch(str(submission.parameters.get("root", "")))
        for attempt in range(1, options.attempts + 1):
            submitted = submit.submit(endpoint, submission)
            print(submitted.url, flush=True)
            if not options.wait:
                return 0
            try:
                submit.wait(endpoint, submitted.run_id, watch, timeout=options.timeout, interval=options.poll_interval)
                return 0
            except KeyboardInterrupt:
                print("stopped waiting; the run goes on, and the same command waits for it again", file=sys.stderr)
                return INTERRUPTED
            except RunEnded as ended:
                if attempt == options.attempts or not ended.mendable:
                    raise
                event("attempt_failed", f"attempt {attempt} of {options.attempts}: {ended}", severity="WARNING")
                time.sleep(options.poll_interval * PAUSES * 2 ** (attempt - 1))
    return 0


def _check(options: argparse.Namespace, compile_options: CompileOptions) -> None:
    """Raises ConfigurationError for options of this command that make no sense, by themselves or together."""
    if options.timeout < 0 or options.poll_interval <= 0:
        raise ConfigurationError("--timeout must be 0 or more, and --poll-interval more than 0 seconds")
    if options.attempts < 1 or (options.attempts > 1 and not options.wait):
        raise ConfigurationError(f"--attempts {options.attempts}: expected 1 or more, and --wait with more than 1")
    if options.every_hours < 0 or (options.every_hours and options.wait):
        raise ConfigurationError("--every-hours must be more than 0 hours, and is not waited for: leave out --wait")
    given = [field.name for field in fields(CompileOptions) if _is_given(compile_options, field)]
    if options.package_file and given:
        named = "--set" if given[0] == "options" else f"--{given[0].replace('_', '-')}"
        raise ConfigurationError(
            f"{named} goes into what is compiled, and --package-file is compiled already; give it to fec compile, or "
            "run parameters as NAME=VALUE"
        )


def _is_given(compile_options: CompileOptions, field: Field[Any]) -> bool:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return bool(getattr(compile_options, field.name) != default)


def _submission(options: argparse.Namespace, compile_options: CompileOptions, folder: Path) -> Submission:
    """What is to be run, compiled if need be and checked: nothing is sent that the engine or a step would refuse."""
    from components.form import RunParameters, check_values
    from components.placement import check_reachable, check_together
    from pipelines.graph import limits, runtime_parameters
    from pipelines.graph.compiled import mounts, read_spec
    from pipelines.kubeflow.submit import Submission
    from pipelines.pipeline import COMPILED_WITH, IMAGES

    package = Path(options.package_file or folder / "fec_pipeline.yaml")
    if not options.package_file:
        if not any(word.startswith(tuple(f"{name}=" for name in IMAGES)) for word in options.parameters):
            compile_options.check_images()
        _compile(compile_options, package)
    spec = read_spec(package)
    said = str(spec["pipelineInfo"].get("description", ""))
    declared = runtime_parameters.declared(spec)
    parameters = runtime_parameters.parse(options.parameters, declared)
    check_values(parameters, model=declared["model"].default if "model" in declared else RunParameters.model)
    whole = {name: parameter.default for name, parameter in declared.items()} | parameters
    faced = "faced" in str(whole.get("detector", "")).split("+")
    if faced and "data_image" in declared and "data_image" not in parameters and not options.package_file:
        parameters["data_image"] = whole["data_image"] = compile_options.faced_image
    check_together(whole)
    check_reachable(whole, mounts(package))
    if "max_groups" in declared:
        limits.check(package, int(whole["max_groups"]))
    return Submission(
        package=package,
        parameters=parameters,
        pipeline_name=options.pipeline_name,
        experiment=options.experiment,
        run_name=options.run_name,
        service_account=options.run_service_account,
        about=said.partition(COMPILED_WITH)[0].strip(),
        version_about=said.partition(COMPILED_WITH)[2],
    )


def _compile(options: CompileOptions, package: Path) -> None:
    from kfp import compiler

    from pipelines.pipeline import pipeline

    compiler.Compiler().compile(pipeline_func=pipeline(options), package_path=str(package))
