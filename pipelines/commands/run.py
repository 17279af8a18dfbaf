"""``fec run``: the whole pipeline on this machine, through KFP's own local executor."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

from components.form import RunParameters, for_pipeline
from components.options import checked
from fec import command
from fec.images import DATA_IMAGE, TRAIN_IMAGE, image
from pipelines.graph import stages
from pipelines.local import ahead, arguments
from pipelines.local.recipes import Recipe

SUMMARY = "Run the whole pipeline on this machine, from the CSVs to the report; again, it goes on where it was."

ARCHIVE_HELP = "look in a web archive for pictures that are gone, as https://web.archive.org/web/2018id_/{url}"

# The options in the order in which one asks for them; a test holds that none is left out.
GROUPS = {
    "what to work on": ("train_csv", "eval_csv", "root", "max_shards"),
    "fetching": ("requests_per_second", "allow_network", "retry_transient_after"),
    "faces": ("detector", "min_confidence", "detector_weights"),
    "records and training": ("image_size", "model", "train_steps", "batch_size", "learning_rate", "seed"),
    "how the work is cut": ("num_train_shards", "num_eval_shards", "max_groups"),
    "everything else": ("options",),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        action=Recipe,
        metavar="FILE",
        help="a recipe such as configs/cpu-tiny.toml, {step: {option: value}} in TOML or JSON; what follows counts",
    )
    for title, names in GROUPS.items():
        group = parser.add_argument_group(title)
        command.add_options(group, RunParameters, names)
        if title == "fetching":
            group.add_argument("--archive", default="", metavar="ADDRESS", help=ARCHIVE_HELP)
    running = parser.add_argument_group("the run")
    running.add_argument(
        "--subset", default="", metavar="FILE", help="train and evaluate on the triplets of a list of fec subset only"
    )
    running.add_argument(
        "--until",
        metavar="STAGE",
        choices=stages.STAGES,
        default=stages.MODEL,
        help=f"stop after {', '.join(stages.STAGES)} (default: %(default)s); only the last needs TensorFlow",
    )
    running.add_argument(
        "--replace", action="store_true", help="work on this list, though the root holds another one's dataset"
    )
    running.add_argument(
        "--runner",
        choices=("subprocess", "docker"),
        default="subprocess",
        help="what runs a task: a process, or a container of its image (default: %(default)s)",
    )
    running.add_argument(
        "--data-image", metavar="IMAGE", default=DATA_IMAGE, help="with --runner docker (default: %(default)s)"
    )
    running.add_argument(
        "--train-image", metavar="IMAGE", default=TRAIN_IMAGE, help="with --runner docker (default: %(default)s)"
    )
    running.add_argument(
        "--ahead",
        choices=ahead.MODES,
        default=ahead.AUTO,
        help="verify faces while a download waits for its hosts; auto: where there is more than one core "
        "(default: %(default)s)",
    )
    running.add_argument("--json", action="store_true", help="end with one line of JSON on stdout")


def run(options: argparse.Namespace) -> int:
    parameters = command.parameters_from(RunParameters, options)
    parameters = _with_archive(options.archive, _held_to(options.subset, parameters))
    data_image = options.data_image
    if data_image == DATA_IMAGE and "faced" in parameters.detector.split("+"):
        data_image = image("data-faced")
    images = (data_image, options.train_image) if options.runner == "docker" else None
    if not options.replace:
        arguments.refuse_another_dataset(parameters)
    return finish(parameters, as_json=options.json, images=images, until=options.until, verify_ahead=options.ahead)


def _held_to(subset: str, parameters: RunParameters) -> RunParameters:
    """The same with the list ``subset``, if there is one, as an option of collect."""
    if not subset:
        return parameters
    from fec.storage import is_local
    from fec.subsets import read_subset

    read_subset(subset)
    place = str(Path(subset).absolute()) if is_local(subset) else subset
    collect = {**parameters.options.get("collect", {}), "subset": place}
    return dataclasses.replace(parameters, options={**parameters.options, "collect": collect})


def _with_archive(address: str, parameters: RunParameters) -> RunParameters:
    """The same with the web archive at ``address``, if there is one, as an option of download."""
    if not address:
        return parameters
    download = {**parameters.options.get("download", {}), "archive": address}
    return dataclasses.replace(parameters, options=checked({**parameters.options, "download": download}))


def finish(
    parameters: RunParameters,
    *,
    as_json: bool,
    images: tuple[str, str] | None = None,
    until: str = stages.MODEL,
    verify_ahead: str = ahead.AUTO,
) -> int:
    """Check the arguments, run the pipeline up to the stage ``until`` and print its summary; the exit code.

    ``images``, of the data steps and of training, makes containers of the tasks; of those nothing is verified
    ahead; else as ``verify_ahead``, one of ``ahead.MODES``, says.
    """
    from pipelines.local import containers
    from pipelines.local.execution import execute
    from pipelines.local.summary import read, so_far
    from pipelines.local.supervision import Stopped

    started = time.monotonic()
    arguments.check(parameters)
    if until == stages.MODEL and images is None:
        arguments.require_tensorflow()
    pipeline_arguments, inside = for_pipeline(parameters), None
    if images is not None:
        pipeline_arguments, inside = containers.on_this_machine(pipeline_arguments, *images)
        inside.check()
    try:
        early = images is None and until != stages.PLAN and ahead.wanted(verify_ahead)
        report = execute(pipeline_arguments, sys.stderr, inside, until, early)
    except Stopped as stopped:
        print(f"stopped by {stopped}; the same command goes on where it was", file=sys.stderr)
        return stopped.exit_code
    if until != stages.MODEL:
        print(so_far(parameters.root, until, as_json=as_json, seconds=time.monotonic() - started))
        return 0
    summary = read(parameters.root, report, seconds=time.monotonic() - started)
    print(json.dumps(summary.as_json()) if as_json else summary.as_text())
    return 0
