"""What run a report is about: when, by which version, and the command that makes the same again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

from components.options import parameters_of
from fec import layout
from fec.done import read_done
from fec.layout import EVAL, SPLITS, TRAIN
from fec.parameters import field_of
from fec.record_files import RecordFiles
from fec.storage import Storage

# The options of ``fec run`` that are parameters of the train step under another name; the rest of its own parameters
# go by --set.
_TRAIN_OPTIONS: Final = {
    "model": "--model",
    "steps": "--train-steps",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "seed": "--seed",
}
# What says where and how the machine trains, and not what.
_NOT_ASKED: Final = ("root", "run", "device", "device_count", "checkpoint_every")
_CSV: Final = {TRAIN: "--train-csv", EVAL: "--eval-csv"}


@dataclass(frozen=True)
class About:
    """The version of this package that wrote the report and the day it did (UTC, ISO), the steps trained and on what
    device, the threshold of the faces, the requests a second that hosts were asked at most (as asked for), and the
    command, in words quoted for a shell."""

    version: str
    made: str
    steps: int
    device: str
    threshold: float | None
    requests_per_second: float | None
    command: tuple[str, ...]


def about(storage: Storage, run: str, records: RecordFiles, made: str) -> About:
    """What there is to say of ``run``; ``made``: the day of the report."""
    trained = json.loads(storage.read(f"{layout.model_dir(run)}/train.json"))
    done = read_done(storage, layout.model_dir(run))
    plans = {split: _plan(storage, split) for split in SPLITS}
    verified = read_done(storage, layout.faces_dir(EVAL, 0))
    threshold = None if verified is None else verified.details.get("threshold")
    return About(
        metadata.version("fec"),
        made,
        int(done.counts.get("steps", 0)) if done is not None else 0,
        str(trained.get("ran_on", {}).get("kind", "")),
        threshold,
        plans[EVAL].get("requests_per_second"),
        command(storage.root, plans, trained["parameters"], records.image_size),
    )


def command(
    root: str, plans: Mapping[str, Mapping[str, Any]], trained: Mapping[str, Any], image_size: int
) -> tuple[str, ...]:
    """``fec run`` with all that a plan and a training were asked for beside the defaults, as words quoted for a
    shell; none without plans."""
    if not all(plans.values()):
        return ()
    words: list[object] = ["fec", "run"]
    for split, plan in plans.items():
        words += [_CSV[split], plan["annotations"]]
    words += ["--root", root]
    for split, plan in plans.items():
        words += [f"--num-{split}-shards", plan["num_shards"]]
    plan = plans[EVAL]
    if plan.get("max_shards"):
        words += ["--max-shards", plan["max_shards"]]
    words += ["--image-size", image_size]
    defaults = parameters_of("train")
    for name, value in trained.items():
        if name in _NOT_ASKED or value == field_of(defaults, name).default:
            continue
        words += [_TRAIN_OPTIONS[name], value] if name in _TRAIN_OPTIONS else ["--set", f"train.{name}={value}"]
    return tuple(shlex.quote(str(word)) for word in words)


def _plan(storage: Storage, split: str) -> dict[str, Any]:
    try:
        value = json.loads(storage.read(f"{layout.plan_dir(split)}/plan.json"))["parameters"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
    return value if isinstance(value, dict) else {}
