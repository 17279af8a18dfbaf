"""What a run can be asked for: the pipeline's parameters, by the names that its form and ``fec run`` have for them.

Each is a parameter of a step, said there (``components/<step>/parameters.py``) and given another name or default here
where the pipeline needs one. What has no field here travels in ``options``.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from components import options as step_options
from components.again import note, one_group_if_finished
from components.datagen.parameters import Parameters as Datagen
from components.download.parameters import Parameters as Download
from components.faces.parameters import Parameters as Faces
from components.placement import (
    PLACES,
    SHARED,
    PlacementParameters,
    check_detector_here,
    check_reachable,
    check_together,
)
from components.plan.parameters import Parameters as Plan
from components.train.parameters import MODELS
from components.train.parameters import Parameters as Train
from fec.annotations_source import check_there
from fec.errors import ConfigurationError
from fec.parameters import Checked, converted, fields, like, parameter, rules_of
from fec.storage import normalized_root, open_storage
from fec.task_records import run_name


@dataclass(frozen=True)
class Scale:
    """The defaults that differ between one machine and a cluster."""

    num_train_shards: int
    num_eval_shards: int
    max_groups: int


ONE_MACHINE: Final = Scale(num_train_shards=8, num_eval_shards=2, max_groups=1)
# The published recipe's shards.
CLUSTER: Final = Scale(num_train_shards=2000, num_eval_shards=200, max_groups=66)


def refuse_options(given: dict[str, Any]) -> str:
    """Raises ConfigurationError, in the words of ``components.options``, for options by step that are not right."""
    step_options.checked(given)
    return ""


@dataclass(frozen=True)
class RunParameters(Checked):
    """The pipeline's parameters, with the defaults of a run on one machine."""

    train_csv: str = like(Plan, "annotations", help="path or URL of the train annotations: the CSV, or FEC_dataset.zip")
    eval_csv: str = like(Plan, "annotations", help="the same of the eval annotations; may be the same FEC_dataset.zip")
    root: str = like(Plan, "root", help="where everything is kept: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    num_train_shards: int = like(
        Plan, "num_shards", help="shards the train images are spread over", default=ONE_MACHINE.num_train_shards
    )
    num_eval_shards: int = like(
        Plan, "num_shards", help="shards the eval images are spread over", default=ONE_MACHINE.num_eval_shards
    )
    max_shards: int = like(Plan, "max_shards", help="a trial: only as much of each split as fills N shards; 0: all")
    max_groups: int = like(
        Plan,
        "max_groups",
        help="tasks a loop over shards is cut into; each works in parallel itself",
        default=ONE_MACHINE.max_groups,
    )
    allow_network: tuple[str, ...] = like(
        Download,
        "allow_network",
        help="addresses beside the public ones that images may come from, such as 127.0.0.0/8",
    )
    requests_per_second: float = like(
        Plan, "requests_per_second", help="requests a second to one host, over the whole run"
    )
    retry_transient_after: float = like(
        Download,
        "retry_transient_after",
        help="seconds after which a later run tries passing failures (time-outs, 5xx) again",
    )
    detector: str = like(Faces, "detector", help="face detector: yunet, faced, none, or two as yunet+faced")
    min_confidence: float = like(Faces, "min_confidence")
    detector_weights: str = like(
        Faces, "detector_weights", help="folder, gs:// or s3:// prefix with the weights of a detector that needs them"
    )
    image_size: int = like(Datagen, "image_size")
    model: str = like(Train, "model")
    train_steps: int = like(Train, "steps")
    batch_size: int = like(Train, "batch_size", help="triplets in a batch of training")
    learning_rate: float = like(Train, "learning_rate", help="of training, at the start; it falls to zero")
    seed: int = like(Train, "seed", help="of the records' order and of training")
    options: dict[str, Any] = parameter(
        "further options of the steps, by step, such as faces.crop_quality=90", default=dict, refuse=refuse_options
    )


def for_pipeline(parameters: RunParameters) -> dict[str, Any]:
    """The values for a run on this machine by the names of the pipeline's inputs, as JSON can carry them."""
    return dataclasses.asdict(parameters) | {
        "root": normalized_root(parameters.root),
        "allow_network": list(parameters.allow_network),
        "options": step_options.checked(parameters.options),
    }


def check_values(given: Mapping[str, Any], *, model: str = RunParameters.model) -> None:
    """Raises ConfigurationError for a value of the pipeline's parameters that its step would refuse.

    ``model`` is the default that was compiled in: where it is none of train's, the trainer is another one, and what it
    takes is not known here.
    """
    for parameters in (RunParameters, PlacementParameters):
        for field in fields(parameters):
            if field.name not in given or (field.name == "model" and model not in MODELS):
                continue
            value = converted(parameters, field.name, given[field.name])
            if wrong := rules_of(field).says(value):
                raise ConfigurationError(f"{field.name} {value!r}: {wrong}")


def check_given(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigurationError for what is wrong with what an engine gave to a task, before a loop begins.

    Kubeflow's own form sends whatever is filled in. A task that has but its own inputs (``fec run`` has checked them
    all) has its part of this.
    """
    check_values(given)
    if "train_csv" in given:
        check_together(given)
        check_detector_here(given)
        check_reachable(given, environment.get(SHARED, "").split(":") if environment.get(SHARED) else ())
        for name in ("train_csv", "eval_csv"):
            check_there(str(given[name]))


def take(root: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check what an engine gave to plan, and note below the root what the run is asked for if it is the whole form.

    What is to hold in place of plan's own parameters: one group, where all of it was finished before.
    """
    check_given(given)
    run = run_name(os.environ)
    if run and "train_csv" in given:
        names = [field.name for field in fields(RunParameters) if field.name in given]
        places = {name: given[name] for name in PLACES if name in given}
        note(open_storage(root), run, {name: given[name] for name in names}, places)
    return one_group_if_finished(root)


def descriptions() -> dict[str, str]:
    """What each parameter of the pipeline is, by name."""
    every = (*fields(RunParameters), *fields(PlacementParameters))
    return {field.name: rules_of(field).help for field in every}
