"""Where the tasks of a run go and what they get there, and what Kubernetes would refuse of it.

A driver that meets such a value fails with a page of metadata in a log, one iteration after the other.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from components.accelerators import GPU_RESOURCE, TPU_RESOURCE, check_selected
from components.resources import RESOURCES
from fec import kube_syntax as syntax
from fec.errors import ConfigurationError
from fec.parameters import Checked, parameter
from fec.storage import is_local, normalized_root

ACCELERATORS: Final = (GPU_RESOURCE, TPU_RESOURCE)
# Which accelerator each of our images for training is made for.
DRIVES: Final[Mapping[str, str]] = {"fec-train": GPU_RESOURCE, "fec-train-tpu": TPU_RESOURCE, "fec-t2t": ""}
# What train calls them.
DEVICES: Final[Mapping[str, str]] = {GPU_RESOURCE: "gpu", TPU_RESOURCE: "tpu"}
# Which nodes a run's tasks go to.
PLACES: Final = ("data_node_selector", "train_node_selector", "accelerator_type", "accelerator_count")
# In the environment of a task: the folders that all tasks share, with ":" between them.
SHARED: Final = "FEC_SHARED"
# [HOST[:PORT]/]PATH[:TAG][@DIGEST], as https://github.com/distribution/reference has it.
_PART: Final = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE: Final = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)


def wrong_image(reference: str) -> str:
    """An image's name."""
    return "" if _IMAGE.fullmatch(reference) else "expected the name of an image, such as ghcr.io/me/fec-data:v1"


def wrong_name(name: str) -> str:
    """The name of a Secret, a volume claim or a service account."""
    return _said(lambda: syntax.dns_name("name", name))


def wrong_cpu(text: str) -> str:
    """Cores, whole or in parts; of the units of a quantity only m makes sense."""
    wrong = _said(lambda: syntax.quantity("cpu", text)) or not re.fullmatch(r"[\d.]+m?", text)
    return "expected an amount above 0 such as 500m or 2" if wrong else ""


def wrong_memory(text: str) -> str:
    """Memory in Kubernetes' units, of which B is none, and not a few bytes."""
    wrong = _said(lambda: syntax.quantity("memory", text))
    return "expected an amount such as 512Mi or 4Gi" if wrong or not re.search(r"[MGT]i?$|\d{7}", text) else ""


def wrong_selector(labels: Mapping[str, Any]) -> str:
    """A node selector: text by text."""
    if not all(isinstance(value, str) for value in labels.values()):
        return 'expected labels with text as value, such as {"disktype": "ssd"}; a number or true needs quotes'
    return _said(lambda: syntax.labels(f"{key}={value}" for key, value in labels.items()))


def wrong_tolerations(tolerations: Sequence[Any]) -> str:
    return _said(lambda: [syntax.toleration(json.dumps(toleration)) for toleration in tolerations])


def wrong_accelerator(kind: str) -> str:
    return "" if kind in ("", *ACCELERATORS) else f"expected {' or '.join(ACCELERATORS)}, or nothing"


def wrong_count(text: str) -> str:
    return "" if text.isdecimal() and text.isascii() else "expected a whole number, 0 for none"


def _said(check: Callable[[], object]) -> str:
    try:
        check()
    except ConfigurationError as error:
        return str(error)
    return ""


def _cpu(step: str, help: str) -> Any:
    return parameter(help, default=RESOURCES[step].cpu, refuse=wrong_cpu)


def _memory(step: str, help: str) -> Any:
    return parameter(help, default=RESOURCES[step].memory, refuse=wrong_memory)


@dataclass(frozen=True)
class PlacementParameters(Checked):
    """Where the tasks run on an engine and what they get there; the rest of the pipeline's parameters."""

    data_image: str = parameter("container image of the data steps", default="", refuse=wrong_image)
    train_image: str = parameter("container image of training", default="", refuse=wrong_image)
    evaluate_image: str = parameter("container image of the evaluation", default="", refuse=wrong_image)
    plan_cpu: str = _cpu("plan", "CPUs of plan at most, such as 1 or 500m")
    plan_memory: str = _memory("plan", "memory of plan at most, such as 4Gi")
    download_cpu: str = _cpu("download", "CPUs of a download task at most")
    download_memory: str = _memory("download", "memory of a download task at most")
    faces_cpu: str = _cpu("faces", "CPUs of a faces task, which uses them")
    faces_memory: str = _memory("faces", "memory of a faces task at most")
    collect_cpu: str = _cpu("collect", "CPUs of collect at most")
    collect_memory: str = _memory("collect", "memory of collect at most")
    datagen_cpu: str = _cpu("datagen", "CPUs of a datagen task, which uses all of them")
    datagen_memory: str = _memory("datagen", "memory of a datagen task at most")
    train_cpu: str = _cpu("train", "CPUs of training")
    train_memory: str = _memory("train", "memory of training at most")
    evaluate_cpu: str = _cpu("evaluate", "CPUs of the evaluation at most")
    evaluate_memory: str = _memory("evaluate", "memory of the evaluation at most")
    data_node_selector: dict[str, Any] = parameter(
        "labels of the nodes for the data steps and the evaluation, as JSON", default=dict, refuse=wrong_selector
    )
    data_tolerations: tuple[Any, ...] = parameter(
        "taints these steps tolerate, a JSON list of objects with key, operator, value, effect",
        default=(),
        refuse=wrong_tolerations,
    )
    train_node_selector: dict[str, Any] = parameter(
        "labels of the nodes for training, as JSON", default=dict, refuse=wrong_selector
    )
    train_tolerations: tuple[Any, ...] = parameter(
        "taints training tolerates, as JSON", default=(), refuse=wrong_tolerations
    )
    accelerator_type: str = parameter(
        "resource training asks for, nvidia.com/gpu or google.com/tpu; empty for none",
        default="",
        refuse=wrong_accelerator,
    )
    accelerator_count: str = parameter("how many of it", default="0", refuse=wrong_count)


def check_together(values: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for values of the form that are good by themselves and not together."""
    check_accelerator(
        str(values.get("accelerator_type", "")),
        str(values.get("accelerator_count", "0")),
        str(values.get("train_image", "")),
    )
    if values.get("accelerator_type"):
        check_selected(values.get("train_node_selector") or {}, int(values["accelerator_count"]))
    check_devices(values.get("options") or {}, str(values.get("accelerator_type", "")), values.get("accelerator_count"))
    for step, asked in RESOURCES.items():
        for name, request in (("cpu", asked.cpu_request), ("memory", asked.memory_request)):
            limit = str(values.get(f"{step}_{name}", ""))
            if limit and syntax.amount(limit) < syntax.amount(request):
                raise ConfigurationError(f"{step}_{name} {limit!r}: a {step} task needs {request} at least")
    detectors, weights = str(values.get("detector", "")).split("+"), values.get("detector_weights")
    if "faced" in detectors and not weights:
        raise ConfigurationError("detector 'faced' without detector_weights: name the folder with its weights")
    ours = image_name(str(values.get("data_image", "")))
    if "faced" in detectors and ours == "fec-data":
        raise ConfigurationError(
            f"data_image {values['data_image']!r} with detector 'faced': fec-data has no TensorFlow; fec-data-faced has"
        )
    if weights and not set(detectors) - {"", "yunet", "none"}:
        raise ConfigurationError("detector_weights without detector=faced: no other detector of ours takes any")


def check_devices(options: Mapping[str, Any], kind: str, count: Any) -> None:
    """Raises ConfigurationError where training is told to use other devices than ``count`` of the ``kind`` it books."""
    asked = options.get("train", {})
    device, number = str(asked.get("device", "auto")), int(asked.get("device_count", 0))
    booked = DEVICES.get(kind, "cpu")
    if device not in ("auto", booked):
        more = (
            "leave it out" if kind else f"give accelerator_type={GPU_RESOURCE} or google.com/tpu, and accelerator_count"
        )
        raise ConfigurationError(f"train.device {device}, and what is booked is {booked}: {more}")
    if kind and number and str(count) != str(number):
        raise ConfigurationError(
            f"train.device_count {number}, and accelerator_count {count}: all that is booked is used"
        )


def booked(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The options of train by which it uses what was booked for it, or ends; ``inputs`` are what the engine gave it.

    The chips of a TPU are all those of its node, however many devices they are.
    """
    device = DEVICES.get(str(inputs.get("accelerator_type", "")))
    if device is None:
        return {}
    return {"device": device} | ({"device_count": int(inputs["accelerator_count"])} if device == "gpu" else {})


def check_accelerator(kind: str, count: str, image: str) -> None:
    """Raises ConfigurationError for a kind without a number, a number without a kind, an image that drives another."""
    none = count.isdecimal() and not int(count)
    if kind and none:
        raise ConfigurationError(f"accelerator_type {kind!r} without a number: give accelerator_count too")
    if not kind and not none:
        raise ConfigurationError(f"accelerator_count {count} without a type: give accelerator_type={GPU_RESOURCE} say")
    if not kind:
        return
    ours = image_name(image)
    if DRIVES.get(ours, kind) != kind:
        right = next((name for name, drives in DRIVES.items() if drives == kind), "")
        raise ConfigurationError(
            f"train_image {image!r} with accelerator_type {kind!r}: {ours} cannot drive it; {right} can"
        )


def image_name(reference: str) -> str:
    """The last part of an image's reference, such as fec-data."""
    return re.split("[:@]", reference.rpartition("/")[2])[0]


def check_detector_here(values: Mapping[str, Any]) -> None:
    """Raises ConfigurationError where this image, that of the data steps, cannot run the detector."""
    if "faced" in str(values.get("detector", "")).split("+") and not _is_there("tensorflow"):
        raise ConfigurationError(
            "detector 'faced': this image of the data steps has no TensorFlow; give data_image=…/fec-data-faced, which "
            "fec images build --only data-faced makes"
        )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # somebody keeps it from being imported
        return False


def check_reachable(values: Mapping[str, Any], shared: Sequence[str] = ()) -> None:
    """Raises ConfigurationError for a root or annotations that no pod could read: they are of one machine.

    ``shared`` are folders that all pods share.
    """
    root = str(values.get("root") or "")
    if is_local(root) and not _below(root, shared):
        meant = re.match(r"(gs|s3):/*(?=[^/])", root)
        near = f"did you mean {meant[1]}://{root[meant.end() :]}?" if meant else f"give {_BUCKETS}"
        raise ConfigurationError(
            f"root {root!r}: pods share no folder with another machine; {near}, or a folder below a "
            "--volume pvc:NAME:/PATH"
        )
    normalized_root(root)
    for name in ("train_csv", "eval_csv"):
        source = str(values.get(name) or "")
        if not re.match(r"(gs|s3|https?)://[^/\s]+/\S", source) and not _below(source, shared):
            raise ConfigurationError(
                f"{name} {source!r}: pods cannot read this; copy it to the bucket and give its URL, such as "
                "gs://BUCKET/train.csv"
            )


_BUCKETS: Final = "gs://BUCKET/PREFIX or s3://BUCKET/PREFIX"


def _below(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)
