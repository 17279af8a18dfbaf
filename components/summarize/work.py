"""How far a run came, read from what its steps left below the root."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from components.summarize.judgement import SUCCEEDED, judged
from fec import layout
from fec.done import Done, read_done, read_markers
from fec.funnel import STAGES
from fec.layout import SPLITS
from fec.outcomes import ARCHIVED, FaceOutcome, ImageOutcome
from fec.storage import Storage
from fec.task_records import TaskRecord, last_attempts, read_records

# What a split is not finished without.
STEPS: Final = ("plan", "download", "faces", "collect", "datagen")


@dataclass(frozen=True)
class SplitStatus:
    """How far a split is: what of every step is finished, the steps that are left, the funnel as far as it is known,
    and what was lost."""

    finished: Mapping[str, str]
    left: Sequence[str]
    funnel: Mapping[str, int]
    lost: Mapping[str, int]


@dataclass(frozen=True)
class RunSummary:
    """What ``summary.json`` says: the end and its causes, and for each split what is finished and the funnel so far.

    ``engine`` are the engine's words, which are kept beside what the ``tasks`` that failed have said themselves.
    """

    run: str
    state: str
    why: Sequence[str]
    next: str
    engine: Mapping[str, str]
    root: str
    tasks: Sequence[Mapping[str, Any]]
    splits: Mapping[str, SplitStatus]
    models: Sequence[str]
    reports: Sequence[str]
    logs: str


def summary_of(storage: Storage, *, run: str, state: str, error: str) -> RunSummary:
    """The summary of ``run``, which the engine says ended in ``state`` and, if it failed, by ``error``."""
    splits = split_statuses(storage)
    models = _finished(storage, "models")
    left = _left(splits, models)
    records = read_records(storage, run)
    verdict = judged(state, error, records, left)
    return RunSummary(
        run=run,
        state=verdict.state,
        why=list(verdict.why),
        next=_next(storage.root, run, verdict.state, mendable=verdict.mendable),
        engine={"state": state, "error": error},
        root=storage.root,
        tasks=[_task(record) for record in last_attempts(records) if not record.succeeded],
        splits=splits,
        models=models,
        reports=[f"{storage.root}/{layout.report_dir(name)}/report.html" for name in _finished(storage, "reports")],
        logs=f"kubectl logs -l workflows.argoproj.io/workflow={run} -c main --prefix --tail=-1",
    )


def left_undone(storage: Storage) -> list[str]:
    """What a run promises and is not below the root, such as ``datagen of eval`` or ``model``."""
    return _left(split_statuses(storage), _finished(storage, "models"))


def _left(splits: Mapping[str, SplitStatus], models: Sequence[str]) -> list[str]:
    return [f"{step} of {split}" for split in SPLITS for step in splits[split].left] + ([] if models else ["model"])


def split_statuses(storage: Storage) -> dict[str, SplitStatus]:
    """How far each split is, read from the markers of its steps."""
    return {split: _split(storage, split) for split in SPLITS}


def markdown(summary: RunSummary) -> str:
    """The same as a page."""
    lines = [f"# {summary.run}: {summary.state}", ""]
    if summary.why:
        lines += [f"- {_escaped(line)}" for line in summary.why] + [""]
    lines += [f"Next: `{summary.next}`", ""]
    lines += _table("Finished", {split: found.finished for split, found in summary.splits.items()})
    lines += _table("Funnel so far", {split: found.funnel for split, found in summary.splits.items()})
    lines += _table("Lost so far", {split: found.lost for split, found in summary.splits.items()})
    lines += ["## Where", "", f"- root: `{summary.root}`"]
    lines += [f"- model: `{summary.root}/{layout.model_dir(name)}`" for name in summary.models]
    lines += [f"- report: `{path}`" for path in summary.reports]
    return "\n".join([*lines, f"- logs: `{summary.logs}`, as long as the pods are kept", ""])


def _table(title: str, by_split: Mapping[str, Mapping[str, object]]) -> list[str]:
    """A section with a row a name and a column a split; nothing where there is no name."""
    names = list(dict.fromkeys(name for values in by_split.values() for name in values))
    if not names:
        return []
    lines = [f"## {title}", "", f"| | {' | '.join(by_split)} |", f"|---|{'---:|' * len(by_split)}"]
    for name in names:
        cells = " | ".join(_cell(values.get(name)) for values in by_split.values())
        lines.append(f"| {name.replace('_', ' ')} | {cells} |")
    return [*lines, ""]


def _split(storage: Storage, split: str) -> SplitStatus:
    plan = read_done(storage, layout.plan_dir(split))
    if plan is None:
        return SplitStatus({"plan": "no"}, STEPS, {}, {})
    shards = range(int(plan.details["num_shards"]))
    downloaded = _markers(storage, shards, lambda shard: layout.images_dir(split, shard))
    verified = _markers(storage, shards, lambda shard: layout.faces_dir(split, shard))
    images, faces = _total(downloaded), _total(verified)
    finished = {
        "plan": "yes",
        "download": f"{len(downloaded):,} of {len(shards):,} shards",
        "faces": f"{len(verified):,} of {len(shards):,} shards",
    }
    funnel = {
        "images": plan.counts["images"],
        "fetched": images[ImageOutcome.FETCHED],
        **({"from_an_archive": images[ARCHIVED]} if images[ARCHIVED] else {}),
        "faces": plan.counts["faces"],
        "faces_ok": faces[FaceOutcome.OK],
        "triplets": plan.counts["triplets"],
    }
    left = [step for step, found in (("download", downloaded), ("faces", verified)) if len(found) < len(shards)]
    collected = read_done(storage, layout.collect_dir(split))
    if collected is not None:
        count = collected.counts["record_shards"]
        written = _written(storage, split, count)
        finished |= {"collect": "yes", "datagen": f"{written:,} of {count:,} record files"}
        funnel |= {name: collected.counts[name] for name in STAGES if name in collected.counts}
        left += ["datagen"] if written < count else []
    else:
        left += ["collect", "datagen"]
    lost = {f"image: {code}": images[code] for code in ImageOutcome if code != ImageOutcome.FETCHED and images[code]}
    lost |= {f"face: {code}": faces[code] for code in FaceOutcome if code != FaceOutcome.OK and faces[code]}
    return SplitStatus(finished, left, funnel, lost)


def _written(storage: Storage, split: str, count: int) -> int:
    """Of ``count`` record shards how many are written, in the layout of which there are more."""

    def of(problem: str) -> int:
        return len(_markers(storage, range(count), lambda n: layout.record_done_dir(split, n, count, problem)))

    inside = of(layout.PROBLEM)
    return inside if inside == count else max(inside, min(of(layout.faces_problem()), of(layout.triplets_problem())))


def _task(record: TaskRecord) -> dict[str, Any]:
    """What is kept of a task that did not end well."""
    return {
        "task": record.name,
        "attempt": record.attempt,
        "pod": record.pod,
        "node": record.node,
        "exit_code": record.exit_code,
        "line": record.line,
        "doing": record.doing,
        "seen": record.seen,
    }


def _next(root: str, run: str, state: str, *, mendable: bool) -> str:
    """What to do after this, as a command."""
    if state == SUCCEEDED:
        return f"fec verify {root}"
    if mendable:
        return f"fec status {root} --run {run}; the same fec submit again goes on where this run was"
    return f"fec status {root} --run {run}; mend what it names, then the same fec submit again"


def _escaped(text: str) -> str:
    """Text that may come from outside, as Markdown that shows it and does nothing else."""
    return "".join("\\" + character if character in "\\`*_[]<>#|!" else character for character in text)


def _markers(storage: Storage, numbers: Sequence[int], directory: Callable[[int], str]) -> list[Done]:
    found = read_markers(storage, [directory(number) for number in numbers])
    return [done for done in found if done is not None]


def _total(markers: Sequence[Done]) -> Counter[str]:
    total = Counter[str]()
    for done in markers:
        total.update(done.counts)
    return total


def _finished(storage: Storage, directory: str) -> list[str]:
    """The names of the folders in ``directory`` that have a marker."""
    markers = (entry.path.split("/") for entry in storage.list(directory) if entry.path.endswith(f"/{layout.DONE}"))
    return [parts[1] for parts in markers if len(parts) == 3]


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
