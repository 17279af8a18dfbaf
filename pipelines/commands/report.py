"""``fec report``: the page of a trained run once more, from what lies below its root."""

from __future__ import annotations

import argparse

SUMMARY = "Make the report of a trained run again, from what lies below the root."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", metavar="ROOT", help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    # Not "run": that is what the command line calls.
    parser.add_argument("--run", dest="run_name", default="", metavar="RUN", help="which, where the root has several")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="evaluate.OPTION=VALUE",
        help="an option of the evaluation, such as evaluate.exclude_leaks=faces (may be repeated)",
    )


def run(options: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from components import options as step_options
    from components.evaluate import step
    from fec import layout
    from fec.errors import ConfigurationError
    from fec.parameters import nested, refuse_folder_name, with_options
    from fec.storage import open_storage
    from pipelines.embedding.hearing import quiet_tensorflow
    from pipelines.embedding.models import find_model

    given = step_options.checked(nested(options.settings))
    if others := sorted(set(given) - {step.Parameters.step}):
        raise ConfigurationError(f"--set {others[0]}: the report depends on the options of evaluate alone")
    root = open_storage(options.root, read_only=True).root
    name = options.run_name or find_model(root).run
    if wrong := refuse_folder_name(name):
        raise ConfigurationError(f"--run {name!r}: {wrong}")
    parameters = with_options(step.Parameters, given, root=root, run=name)
    storage = open_storage(root)
    if find_spec("tensorflow") is not None:
        quiet_tensorflow()
    # Without its marker the step does its work again.
    storage.delete(f"{layout.report_dir(name)}/{layout.DONE}")
    print(step.run(parameters))
    return 0
