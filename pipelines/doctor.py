"""What a run needs of this machine and its surroundings, looked at before anything is begun."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final
from uuid import uuid4

from fec import layout
from fec.done import read_done
from fec.errors import FecError
from fec.outcomes import ImageOutcome
from fec.segments import stored_images
from fec.storage import Storage, is_local, open_storage

# What the originals and crops of all of FEC take, where the root tells nothing of it: assumed, as in docs/cluster.md.
ASSUMED_BYTES: Final = 60_000_000_000
# Shards whose pictures tell how large pictures are, and pictures that are enough to tell it.
_SHARDS: Final = 20
_ENOUGH: Final = 50
# Crops and records weigh about this much more.
_BESIDE: Final = 1.3
_VERSIONS: Final = ("fec", "numpy", "opencv-python-headless", "pyarrow", "kfp", "tensorflow", "keras")


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Nothing is wrong, but something that one may want is not there."""
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """A check: its name, how it ended, and what was found or is to be done."""

    check: str
    state: State
    detail: str


@dataclass(frozen=True)
class Asked:
    """What to look at; "" is nothing of the kind. ``endpoint``: of Kubeflow Pipelines."""

    train_csv: str = ""
    eval_csv: str = ""
    root: str = ""
    detector: str = "yunet"
    weights: str = ""
    endpoint: str = ""


def examine(asked: Asked) -> Iterator[Finding]:
    """Every check, as it ends."""
    yield _versions()
    for split, csv in ((layout.TRAIN, asked.train_csv), (layout.EVAL, asked.eval_csv)):
        if csv:
            yield _checked(f"{split} list", partial(_list, csv, split))
    yield _checked(f"detector {asked.detector}", partial(_detector, asked.detector, asked.weights))
    if asked.root:
        yield _checked("root", partial(_root, asked.root))
        if is_local(asked.root):
            yield _checked("room", partial(_room, asked.root))
    yield _accelerator()
    if asked.endpoint:
        yield _checked("Kubeflow Pipelines", partial(_endpoint, asked.endpoint))


def _checked(name: str, look: Callable[[], tuple[State, str]]) -> Finding:
    try:
        return Finding(name, *look())
    except FecError as error:
        return Finding(name, State.WRONG, str(error))


def _versions() -> Finding:
    found = []
    for name in _VERSIONS:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    where = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("versions", State.OK, f"{where}; {', '.join(found)}")


def _list(csv: str, split: str) -> tuple[State, str]:
    from fec.annotations_source import check_there, is_remote
    from pipelines.local.arguments import check_csv

    if is_remote(csv):
        check_there(csv)
        return State.OK, f"{csv} is there"
    check_csv(csv, split)
    return State.OK, f"{csv} can be read"


def _detector(name: str, weights: str) -> tuple[State, str]:
    from components.faces import detectors
    from components.faces.detectors.weights import local_weights

    with local_weights(weights) as folder:
        detector = detectors.load(name, folder)
    return State.OK, f"loads; confidence {detector.threshold} stands for the recipe's 0.7; licence {detector.licence}"


def _root(root: str) -> tuple[State, str]:
    storage = open_storage(root)
    probe = f".fec-doctor-{uuid4().hex}"
    try:
        storage.write(probe, b"")
        storage.delete(probe)
    except OSError as error:
        return State.WRONG, f"{storage.root} cannot be written: {error.strerror or error}"
    return State.OK, f"{storage.root} can be written"


def _room(root: str) -> tuple[State, str]:
    storage = open_storage(root)
    needed, how = _needed(storage)
    free = shutil.disk_usage(storage.root).free
    said = f"{free / 1e9:,.1f} GB free; {needed / 1e9:,.1f} GB wanted {how}"
    return (State.OK if free >= needed else State.WRONG), said


def _needed(storage: Storage) -> tuple[float, str]:
    """Bytes that are still to come, and on what that rests."""
    images, known, sizes = 0, 0, 0
    for split in layout.SPLITS:
        plan = read_done(storage, layout.plan_dir(split))
        if plan is None:
            return ASSUMED_BYTES, "for all of FEC (assumed)"
        images += plan.counts["images"]
        for shard in range(min(int(plan.details["num_shards"]), _SHARDS)):
            tried = stored_images(storage, split, shard).values()
            fetched = [image.length or 0 for image in tried if image.outcome is ImageOutcome.FETCHED]
            known, sizes = known + len(fetched), sizes + sum(fetched)
    there = sum(
        (read.counts.get(str(ImageOutcome.FETCHED), 0))
        for split in layout.SPLITS
        for read in [read_done(storage, layout.images_dir(split, shard)) for shard in _shards(storage, split)]
        if read is not None
    )
    if known < _ENOUGH:
        return ASSUMED_BYTES, "for all of FEC (assumed)"
    left = max(0, images - there)
    return left * sizes / known * _BESIDE, f"for {left:,} pictures, as large as those that are there"


def _shards(storage: Storage, split: str) -> range:
    plan = read_done(storage, layout.plan_dir(split))
    return range(int(plan.details["num_shards"]) if plan is not None else 0)


def _accelerator() -> Finding:
    name = "accelerator"
    if importlib.util.find_spec("tensorflow") is None:
        detail = "TensorFlow is not installed, which training needs: pip install 'fec[train]'; --until records does not"
        return Finding(name, State.NOTE, detail)
    from pipelines.embedding.hearing import quiet_tensorflow

    tf = quiet_tensorflow()
    seen = [device for kind in ("GPU", "TPU") for device in tf.config.list_physical_devices(kind)]
    if not seen:
        unused = sorted(str(path) for pattern in ("nvidia[0-9]*", "accel[0-9]*") for path in Path("/dev").glob(pattern))
        if unused:
            detail = f"{', '.join(unused)} is there, but TensorFlow sees none: its build or the driver is another one"
            return Finding(name, State.WRONG, detail)
        return Finding(name, State.NOTE, "TensorFlow sees none: training runs on the CPU")
    for device in seen:
        if wrong := _unusable(device.name.removeprefix("/physical_device:")):
            return Finding(name, State.WRONG, f"TensorFlow sees {device.name}, but cannot use it: {wrong}")
    return Finding(name, State.OK, f"TensorFlow uses {', '.join(device.name for device in seen)}")


def _unusable(device: str) -> str:
    """What a small product on the device fails with; "" if it does not."""
    import tensorflow as tf

    try:
        with tf.device(f"/device:{device}"):
            tf.linalg.matmul(tf.ones([8, 8]), tf.ones([8, 8])).numpy()
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        return str(error).splitlines()[0][:200]
    return ""


def _endpoint(url: str) -> tuple[State, str]:
    from pipelines.kubeflow.endpoint import Access, connect

    connect(Access(endpoint=url))
    return State.OK, f"{url} answers"


def as_text(finding: Finding) -> str:
    """A finding on one line."""
    return f"{finding.state:<6}{finding.check}: {finding.detail}"
