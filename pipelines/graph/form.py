"""What a run can be asked for: the pipeline's parameters, by the names that its form and ``fec run`` have for them.

Each is a parameter of a step, said there (``components/<step>/parameters.py``) and given another name or default here
where the pipeline needs one. What has no field here travels in ``options``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from components import options as step_options
from components.datagen.parameters import Parameters as Datagen
from components.download.parameters import Parameters as Download
from components.faces.parameters import Parameters as Faces
from components.plan.parameters import Parameters as Plan
from components.train.parameters import MODELS
from components.train.parameters import Parameters as Train
from fec.errors import ConfigurationError
from fec.parameters import Checked, converted, fields, like, parameter, rules_of
from fec.storage import normalized_root
from pipelines.graph import values


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


@dataclass(frozen=True)
class PlacementParameters(Checked):
    """Where the tasks run on an engine and what they get there; the rest of the pipeline's parameters."""

    data_image: str = parameter("container image of the data steps", default="", refuse=values.wrong_image)
    train_image: str = parameter("container image of training", default="", refuse=values.wrong_image)
    evaluate_image: str = parameter("container image of the evaluation", default="", refuse=values.wrong_image)
    plan_cpu: str = parameter("CPUs of plan, such as 1 or 500m", default="1", refuse=values.wrong_cpu)
    plan_memory: str = parameter("memory of plan, such as 4Gi", default="4Gi", refuse=values.wrong_memory)
    download_cpu: str = parameter("CPUs of a download task", default="1", refuse=values.wrong_cpu)
    download_memory: str = parameter("memory of a download task", default="4Gi", refuse=values.wrong_memory)
    faces_cpu: str = parameter("CPUs of a faces task, which uses them", default="3", refuse=values.wrong_cpu)
    faces_memory: str = parameter("memory of a faces task", default="6Gi", refuse=values.wrong_memory)
    collect_cpu: str = parameter("CPUs of collect", default="1", refuse=values.wrong_cpu)
    collect_memory: str = parameter("memory of collect", default="4Gi", refuse=values.wrong_memory)
    datagen_cpu: str = parameter("CPUs of a datagen task, which uses all of them", default="3", refuse=values.wrong_cpu)
    datagen_memory: str = parameter("memory of a datagen task", default="6Gi", refuse=values.wrong_memory)
    train_cpu: str = parameter("CPUs of training", default="3", refuse=values.wrong_cpu)
    train_memory: str = parameter("memory of training", default="12Gi", refuse=values.wrong_memory)
    evaluate_cpu: str = parameter("CPUs of the evaluation", default="3", refuse=values.wrong_cpu)
    evaluate_memory: str = parameter("memory of the evaluation", default="8Gi", refuse=values.wrong_memory)
    data_node_selector: dict[str, Any] = parameter(
        "labels of the nodes for the data steps and the evaluation, as JSON",
        default=dict,
        refuse=values.wrong_selector,
    )
    data_tolerations: tuple[Any, ...] = parameter(
        "taints these steps tolerate, a JSON list of objects with key, operator, value, effect",
        default=(),
        refuse=values.wrong_tolerations,
    )
    train_node_selector: dict[str, Any] = parameter(
        "labels of the nodes for training, as JSON", default=dict, refuse=values.wrong_selector
    )
    train_tolerations: tuple[Any, ...] = parameter(
        "taints training tolerates, as JSON", default=(), refuse=values.wrong_tolerations
    )
    accelerator_type: str = parameter(
        "resource training asks for, nvidia.com/gpu or google.com/tpu; empty for none",
        default="",
        refuse=values.wrong_accelerator,
    )
    accelerator_count: str = parameter("how many of it", default="0", refuse=values.wrong_count)


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


def descriptions() -> dict[str, str]:
    """What each parameter of the pipeline is, by name."""
    every = (*fields(RunParameters), *fields(PlacementParameters))
    return {field.name: rules_of(field).help for field in every}
