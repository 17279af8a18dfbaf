"""``fec jobs``: the data steps as Indexed Jobs of plain Kubernetes."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from components.resources import RESOURCES
from fec import command, layout
from pipelines.jobs.manifest import STEPS, Launch, job_name

if TYPE_CHECKING:
    from pipelines.jobs.cluster import JobState
    from pipelines.jobs.progress import ShardProgress

SUMMARY = (
    "Run a data step on plain Kubernetes, as one Indexed Job: launch it, see how far it is, read its logs, delete it."
)


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
        of_step = steps.add_parser(step, help=about, description=about)
        command.add_options(of_step, Launch)
        of_step.add_argument(
            "--dry-run", action="store_true", help="print the manifest for kubectl apply, start nothing"
        )
        of_step.add_argument("step_options", nargs="*", metavar="-- OPTION", help=f"options of components.{step}")
        _add_cluster(of_step)
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
    _add_job(logs)
    logs.add_argument("--index", type=int, default=-1, help="of one index only (default: those that failed, or all)")
    logs.add_argument("--tail", type=int, default=20, help="last lines of a pod (default: %(default)s)")
    _add_cluster(logs)
    delete = actions.add_parser("delete", help="stop and delete a Job; what it stored stays")
    _add_job(delete)
    _add_cluster(delete)


def _add_job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--split", choices=layout.SPLITS, required=True)
    parser.add_argument("--name", default="", help="of the Job (default: fec-STEP-SPLIT)")


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", default="", help="(default: the context's)")
    parser.add_argument("--kubeconfig", default="", help="(default: KUBECONFIG, ~/.kube/config, or the pod's own)")
    parser.add_argument("--context", default="", help="of the kubeconfig (default: its current one)")


def run(options: argparse.Namespace) -> int:
    return {"launch": _launch, "status": _status, "logs": _logs, "delete": _delete}[options.action](options)


def _launch(options: argparse.Namespace) -> int:
    from pipelines.jobs.manifest import manifest

    launch = command.parameters_from(Launch, options)
    job = manifest(options.step, launch, options.step_options, options.namespace)
    if options.dry_run:
        import yaml

        print(yaml.safe_dump(job, sort_keys=False), end="")
        return 0

    from pipelines.jobs import cluster

    name = cluster.create(_connected(options), job)
    print(f"{name}: {launch.indexes:,} indexes, {job['spec']['parallelism']:,} at a time")
    return 0


def _status(options: argparse.Namespace) -> int:
    from fec.errors import ConfigurationError, FecError
    from fec.storage import open_storage
    from pipelines.jobs import cluster
    from pipelines.jobs.progress import shard_progress
    from pipelines.status.run_status import run_status, runs
    from pipelines.status.text import tasks_told

    name, state, why = options.name or job_name(options.step, options.split), None, "there is no such Job"
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

    name, connected = options.name or job_name(options.step, options.split), _connected(options)
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

    name, connected = options.name or job_name(options.step, options.split), _connected(options)
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
