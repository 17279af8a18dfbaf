"""``fec jobs``: the data steps and training as Indexed Jobs of plain Kubernetes."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from components.resources import RESOURCES
from fec import command, layout
from pipelines.jobs.manifest import STEPS, Launch, job_name
from pipelines.jobs.training import STEP as TRAIN
from pipelines.jobs.training import TrainLaunch

if TYPE_CHECKING:
    from pipelines.jobs.cluster import JobState
    from pipelines.jobs.progress import ShardProgress

SUMMARY = "Run a data step or training on plain Kubernetes, as one Job: launch it, see it, read its logs, delete it."


def add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    launch = actions.add_parser("launch", help="start a Job, or print it with --dry-run")
    steps = launch.add_subparsers(dest="step", metavar="STEP", required=True)
    for step in STEPS:
        asked = RESOURCES[step]
        about = (
            f"{step} on one shard an index; a pod asks for {asked.cpu_request} cores and {asked.memory_request}, and "
            f"may use {asked.cpu} and {asked.memory}, unless told otherwise"
        )
        _add_launch(steps.add_parser(step, help=about, description=about), step, Launch)
    about = "train on one host, or on several together, with the accelerators that are booked"
    _add_launch(steps.add_parser(TRAIN, help=about, description=about), TRAIN, TrainLaunch)
    status = actions.add_parser("status", help="how far a Job and its shards are")
    _add_job(status)
    status.add_argument("--root", default="", help="storage root (default: what the Job was started with)")
    status.add_argument(
        "--problem",
        default=layout.PROBLEM,
        help="datagen: what the record files' names begin with (default: %(default)s)",
    )
    status.add_argument("--per-shard", action="store_true", help="a line for each shard")
    status.add_argument("--json", action="store_true", help="one JSON object instead")
    _add_cluster(status)
    logs = actions.add_parser("logs", help="what the pods of a Job say, those that failed first")
    _add_job(logs, (TRAIN,))
    logs.add_argument("--index", type=int, default=-1, help="of one index only (default: those that failed, or all)")
    logs.add_argument("--tail", type=int, default=20, help="last lines of a pod (default: %(default)s)")
    _add_cluster(logs)
    delete = actions.add_parser("delete", help="stop and delete a Job; what it stored stays")
    _add_job(delete, (TRAIN,))
    _add_cluster(delete)


def _add_launch(parser: argparse.ArgumentParser, step: str, parameters: type[Any]) -> None:
    command.add_options(parser, parameters)
    parser.add_argument("--dry-run", action="store_true", help="print the manifest for kubectl apply, start nothing")
    parser.add_argument("step_options", nargs="*", metavar="-- OPTION", help=f"options of components.{step}")
    _add_cluster(parser)


def _add_job(parser: argparse.ArgumentParser, more: tuple[str, ...] = ()) -> None:
    parser.add_argument("step", choices=(*STEPS, *more))
    parser.add_argument("--split", choices=layout.SPLITS, required=not more, default="")
    parser.add_argument("--name", default="", help="of the Job (default: fec-STEP-SPLIT, fec-train)")


def _name(options: argparse.Namespace) -> str:
    if options.step != TRAIN and not options.split:
        from fec.errors import ConfigurationError

        raise ConfigurationError(f"--split: expected one of {', '.join(layout.SPLITS)}, whose {options.step} is meant")
    return str(options.name or (f"fec-{TRAIN}" if options.step == TRAIN else job_name(options.step, options.split)))


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", default="", help="(default: the context's)")
    parser.add_argument("--kubeconfig", default="", help="(default: KUBECONFIG, ~/.kube/config, or the pod's own)")
    parser.add_argument("--context", default="", help="of the kubeconfig (default: its current one)")


def run(options: argparse.Namespace) -> int:
    return {"launch": _launch, "status": _status, "logs": _logs, "delete": _delete}[options.action](options)


def _launch(options: argparse.Namespace) -> int:
    from pipelines.jobs import training
    from pipelines.jobs.manifest import manifest

    if options.step == TRAIN:
        launch = command.parameters_from(TrainLaunch, options)
        documents = training.manifests(launch, options.step_options, options.namespace)
        said = f"{launch.hosts:,} hosts" if launch.hosts > 1 else "1 host"
    else:
        of_shards = command.parameters_from(Launch, options)
        documents = [manifest(options.step, of_shards, options.step_options, options.namespace)]
        said = f"{of_shards.indexes:,} indexes, {documents[0]['spec']['parallelism']:,} at a time"
    if options.dry_run:
        import yaml

        print(yaml.safe_dump_all(documents, sort_keys=False), end="")
        return 0

    from pipelines.jobs import cluster

    name = cluster.create(_connected(options), *documents)
    print(f"{name}: {said}")
    return 0


def _status(options: argparse.Namespace) -> int:
    from fec.errors import ConfigurationError, FecError
    from fec.storage import open_storage
    from pipelines.jobs import cluster
    from pipelines.jobs.progress import shard_progress
    from pipelines.status.run_status import run_status, runs
    from pipelines.status.text import tasks_told

    name, state, why = _name(options), None, "there is no such Job"
    try:
        state = cluster.read(_connected(options), name)
    except FecError as error:
        if not options.root:
            raise
        why = str(error)
    root = options.root or (state.root if state else "")
    if not root:
        raise ConfigurationError(f"Job {name}: {why}; give --root to see how far its shards are")
    storage, now = open_storage(root), datetime.now(UTC)
    shards = shard_progress(storage, options.step, options.split, options.problem)
    status = run_status(storage, name, now) if name in runs(storage) else None
    if options.json:
        told = {"steps": [asdict(step) for step in status.steps]} if status else {}
        print(json.dumps(_as_json(name, state, shards) | told))
    else:
        lines = _as_text(name, state, why, shards, per_shard=options.per_shard)
        print("\n".join(lines + (["", *tasks_told(status, now)] if status else [])))
    return 0


def _logs(options: argparse.Namespace) -> int:
    from fec.errors import ConfigurationError
    from pipelines.jobs import cluster

    name, connected = _name(options), _connected(options)
    found = cluster.pods(connected, name)
    if not found:
        raise ConfigurationError(
            f"Job {name}: namespace {connected.namespace!r} has no pods of it; fec status ROOT --run {name} shows what "
            "its tasks have written"
        )
    failed = [pod for pod in found if pod.exit_code]
    chosen = [pod for pod in found if pod.index == options.index] if options.index >= 0 else failed or found
    for pod in chosen:
        ended = f", exit code {pod.exit_code}" if pod.exit_code is not None else ""
        print(f"== index {pod.index}, pod {pod.name}: {pod.phase}{ended}")
        print(cluster.log(connected, pod.name, options.tail).rstrip())
    return 0


def _delete(options: argparse.Namespace) -> int:
    from fec.errors import ConfigurationError
    from pipelines.jobs import cluster

    name, connected = _name(options), _connected(options)
    if not cluster.delete(connected, name):
        raise ConfigurationError(f"there is no Job {name!r} in namespace {connected.namespace!r}")
    print(f"{name}: deleted")
    return 0


def _connected(options: argparse.Namespace) -> Any:
    from pipelines.jobs import cluster

    return cluster.connect(options.kubeconfig, options.context, options.namespace)


def _as_json(name: str, state: JobState | None, shards: ShardProgress) -> dict[str, Any]:
    from pipelines.jobs.indexes import show_indexes

    job = None
    if state is not None:
        job = {
            "name": name,
            "indexes": state.completions,
            "active": state.active,
            "completed": show_indexes(state.completed),
            "failed": show_indexes(state.failed),
            "ended": state.ended,
            "reason": state.reason,
        }
    return {
        "step": shards.step,
        "split": shards.split,
        "job": job,
        "shards": shards.total,
        "done": len(shards.counts),
        "missing": show_indexes(shards.missing),
        "counts": shards.sums,
        "counts_by_shard": {str(shard): dict(counts) for shard, counts in shards.counts.items()},
    }


def _as_text(name: str, state: JobState | None, why: str, shards: ShardProgress, *, per_shard: bool) -> list[str]:
    from pipelines.jobs.indexes import show_indexes

    if state is None:
        lines = [f"Job {name}: {why}"]
    else:
        ended = f"; {state.ended.lower()} {state.reason}".rstrip() if state.ended else ""
        lines = [
            f"Job {name}: {len(state.completed):,} of {state.completions:,} indexes completed, "
            f"{state.active:,} at work, {len(state.failed):,} failed{ended}"
        ]
        if state.failed:
            lines.append(f"  failed indexes: {show_indexes(state.failed)}")
    share = len(shards.counts) / shards.total if shards.total else 1.0
    lines.append(f"{shards.step} {shards.split}: {len(shards.counts):,} of {shards.total:,} shards done ({share:.0%})")
    lines += [f"  {_words(shards.sums)}"] if shards.sums else []
    if per_shard:
        lines += [
            f"  shard {shard}: {_words(shards.counts[shard]) or 'done' if shard in shards.counts else 'not done'}"
            for shard in range(shards.total)
        ]
    elif shards.missing:
        lines.append(f"  not done: {show_indexes(shards.missing)}")
    return lines


def _words(counts: Any) -> str:
    return " ".join(f"{name}={number:,}" for name, number in sorted(counts.items()))
