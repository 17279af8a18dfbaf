"""``fec submit``: compile, upload, run, and wait if asked to."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from fec import command
from fec.errors import ConfigurationError
from pipelines.graph.options import CompileOptions
from pipelines.kubeflow.endpoint import Access

# The exit code of a command that Ctrl-C ended, as shells have it.
INTERRUPTED = 130

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
    waiting.add_argument("--timeout", type=float, default=0.0, help="seconds to wait at most, 0: for ever")
    waiting.add_argument(
        "--poll-interval", type=float, default=10.0, help="seconds between looks (default: %(default)s)"
    )
    command.add_options(parser.add_argument_group("Kubeflow Pipelines"), Access)
    command.add_options(parser.add_argument_group("compile-time options, as fec compile"), CompileOptions)


def run(options: argparse.Namespace) -> int:
    access = command.parameters_from(Access, options)
    compile_options = command.parameters_from(CompileOptions, options)
    if options.timeout < 0 or options.poll_interval <= 0:
        raise ConfigurationError("--timeout must be 0 or more, and --poll-interval more than 0 seconds")

    from pipelines.graph import limits, runtime_parameters
    from pipelines.graph.compiled import read_spec
    from pipelines.graph.form import RunParameters, check_values
    from pipelines.kubeflow import submit
    from pipelines.kubeflow.endpoint import connect

    with tempfile.TemporaryDirectory() as folder:
        package = Path(options.package_file or Path(folder, "fec_pipeline.yaml"))
        if not options.package_file:
            _compile(compile_options, package)
        declared = runtime_parameters.declared(read_spec(package))
        parameters = runtime_parameters.parse(options.parameters, declared)
        if options.package_file and compile_options.options:
            raise ConfigurationError(
                "--set goes into what is compiled, and --package-file is compiled already; give options={...}, in JSON"
            )
        check_values(parameters, model=declared["model"].default if "model" in declared else RunParameters.model)
        if "max_groups" in declared:
            limits.check(package, int(parameters.get("max_groups", declared["max_groups"].default)))
        submission = submit.Submission(
            package=package,
            parameters=parameters,
            pipeline_name=options.pipeline_name,
            experiment=options.experiment,
            run_name=options.run_name,
            service_account=options.run_service_account,
        )
        submit.check_names(submission)
        endpoint = connect(access)
        submitted = submit.submit(endpoint, submission)
    print(submitted.url, flush=True)
    if options.wait:
        try:
            submit.wait(endpoint, submitted.run_id, timeout=options.timeout, interval=options.poll_interval)
        except KeyboardInterrupt:
            print("stopped waiting; the run goes on, and the same command waits for it again", file=sys.stderr)
            return INTERRUPTED
    return 0


def _compile(options: CompileOptions, package: Path) -> None:
    from kfp import compiler

    from pipelines.pipeline import pipeline

    compiler.Compiler().compile(pipeline_func=pipeline(options), package_path=str(package))
