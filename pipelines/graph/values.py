"""What Kubernetes would refuse of a value of the run's form, said before anything is sent: "" for a good one.

A driver that meets such a value fails with a page of metadata in a log, one iteration after the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fec.errors import ConfigurationError
from pipelines.graph.accelerators import GPU_RESOURCE, TPU_RESOURCE
from pipelines.jobs import syntax

ACCELERATORS: Final = (GPU_RESOURCE, TPU_RESOURCE)
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
    return _said(lambda: syntax.quantity("cpu", text)) and "expected an amount above 0 such as 500m or 2"


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


def check_together(values: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for values of the form that are good by themselves and not together."""
    kind, count = values.get("accelerator_type", ""), str(values.get("accelerator_count", "0"))
    if kind and count == "0":
        raise ConfigurationError(f"accelerator_type {kind!r} without a number: give accelerator_count too")
    if not kind and count != "0":
        raise ConfigurationError(f"accelerator_count {count} without a type: give accelerator_type={GPU_RESOURCE} say")
    detectors, weights = str(values.get("detector", "")).split("+"), values.get("detector_weights")
    if "faced" in detectors and not weights:
        raise ConfigurationError("detector 'faced' without detector_weights: name the folder with its weights")
    if weights and not set(detectors) - {"", "yunet", "none"}:
        raise ConfigurationError("detector_weights without detector=faced: no other detector of ours takes any")


def check_reachable(values: Mapping[str, Any], mounts: Sequence[str] = ()) -> None:
    """Raises ConfigurationError for a root or annotations that no pod could read: they are of the sender's machine.

    ``mounts`` are folders that all pods share.
    """

    def shared(path: str) -> bool:
        return any(path == mount or path.startswith(f"{mount.rstrip('/')}/") for mount in mounts)

    root = str(values.get("root") or "")
    if not root.startswith(("gs://", "s3://")) and not shared(root):
        raise ConfigurationError(
            f"root {root!r}: pods share no folder with this machine; give gs://BUCKET/PREFIX or s3://BUCKET/PREFIX, or "
            "a folder below a --volume pvc:NAME:/PATH"
        )
    for name in ("train_csv", "eval_csv"):
        source = str(values.get(name) or "")
        if not source.startswith(("gs://", "s3://", "http://", "https://")) and not shared(source):
            raise ConfigurationError(
                f"{name} {source!r}: pods cannot read a file of this machine; copy it to the bucket and give its URL"
            )


def _said(check: Callable[[], object]) -> str:
    try:
        check()
    except ConfigurationError as error:
        return str(error)
    return ""
