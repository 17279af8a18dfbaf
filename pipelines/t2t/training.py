"""One training with the real t2t-trainer, from the records to a stored model, told in the order in which it happens."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

from fec import layout
from fec.done import Done, write_done
from fec.errors import RunFailed
from fec.layout import EVAL, TRAIN
from fec.progress import Progress, event, track
from fec.record_files import RecordFiles
from fec.records import SpoiledRecord, read_frames
from fec.storage import Storage
from pipelines.t2t import programs
from pipelines.t2t.checkpoints import STATE, TrainerCheckpoints, state_of
from pipelines.t2t.training_parameters import MODEL, Parameters

CHANCE: Final = 1 / 3
# It takes seeds of 31 bits.
_SEEDS: Final = 2**31 - 1
# Steps between two lines of t2t-trainer that say where it is.
_SAID_EVERY: Final = 10
# Seconds between two looks at whether there is a new checkpoint.
_LOOK: Final = 5.0

_LOSS: Final = re.compile(r"^INFO:tensorflow:loss = (\S+), step = (\d+)")
_EVALUATED: Final = re.compile(r"^INFO:tensorflow:Saving dict for global step (\d+): (.*)")


@dataclass(frozen=True)
class Evaluation:
    """What t2t-trainer said of the model after ``step`` steps: mean loss, and the share of triplets it got right."""

    step: int
    loss: float
    triplet_accuracy: float

    @classmethod
    def said_in(cls, line: str) -> Evaluation | None:
        """The evaluation that a line of t2t-trainer's log tells, or None."""
        found = _EVALUATED.match(line)
        if found is None:
            return None
        values = dict(part.split(" = ", 1) for part in found[2].split(", ") if " = " in part)
        accuracy = next((value for name, value in values.items() if name.endswith("/triplet_accuracy")), None)
        return None if accuracy is None else cls(int(found[1]), float(values["loss"]), float(accuracy))


def train(
    storage: Storage, parameters: Parameters, records: Mapping[str, RecordFiles], run: str, fingerprint: str
) -> None:
    """Train ``run``, put it into ``models/<run>/`` and its accuracy into ``reports/<run>/``; see ``training_step``."""
    directory = layout.model_dir(run)
    workspace = f"{directory}/{fingerprint[:16]}"
    folder = storage.workspace(workspace)
    checkpoints = TrainerCheckpoints(storage, f"{directory}/checkpoint", fingerprint, folder)
    checkpoints.bring()
    with _data_dir(storage, records) as data_dir:
        try:
            evaluation = _trained(parameters, data_dir, folder, checkpoints, records[EVAL].triplets)
        except RunFailed as failure:
            raise _spoiled(data_dir) or failure from None
    metrics = _metrics(parameters, evaluation, records[EVAL].triplets, folder, run)
    digest = _put(storage, run, folder, checkpoints, metrics)
    _mark(storage, run, fingerprint, digest, metrics, parameters, records[TRAIN])
    checkpoints.forget()
    storage.remove_workspace(workspace)
    event(
        "trained",
        f"t2t-trainer trained {parameters.train_steps:,} steps on {records[TRAIN].triplets:,} triplets: triplet "
        f"accuracy {metrics['right']['overall']:,} of {metrics['counts']['overall']:,} on dev (chance 0.333)",
    )


@contextmanager
def _data_dir(storage: Storage, records: Mapping[str, RecordFiles]) -> Iterator[Path]:
    """A folder with these record files and no others: Tensor2Tensor reads whatever matches the problem's name."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for path in (path for files in records.values() for path in files.paths):
            file = stack.enter_context(storage.local_copy(path))
            Path(folder, path.rpartition("/")[2]).symlink_to(file)
        yield Path(folder)


def _trained(
    parameters: Parameters, data_dir: Path, folder: Path, checkpoints: TrainerCheckpoints, dev_triplets: int
) -> Evaluation:
    """Run t2t-trainer until it has trained and evaluated; the last evaluation."""
    p = parameters
    every = min(p.checkpoint_every, p.train_steps)
    flags = [
        f"--problem={p.problem}",
        f"--model={MODEL}",
        f"--hparams_set={p.hparams_set}",
        f"--data_dir={data_dir}",
        f"--output_dir={folder}",
        f"--train_steps={p.train_steps}",
        # It stops where the records end.
        f"--eval_steps={p.eval_steps or dev_triplets}",
        "--schedule=continuous_train_and_eval",
        # The larger of these two is what is between checkpoints.
        f"--local_eval_frequency={every}",
        f"--iterations_per_loop={every}",
        "--keep_checkpoint_max=2",
        f"--log_step_count_steps={_SAID_EVERY}",
        f"--random_seed={1 + p.seed % _SEEDS}",  # 0 would be none
    ]
    found: list[Evaluation] = []
    with track("train", p.train_steps, "steps") as progress:
        looked = time.monotonic()

        def heard(line: str) -> None:
            nonlocal looked
            _show(line, progress)
            if (evaluation := Evaluation.said_in(line)) is not None:
                found.append(evaluation)
            if time.monotonic() - looked > _LOOK:
                checkpoints.keep()
                looked = time.monotonic()

        programs.watch(programs.TRAINER, flags, heard=heard)
        progress.advance(p.train_steps - progress.done)
    if not found or found[-1].step < p.train_steps:
        raise RunFailed(f"t2t-trainer ended well but evaluated nothing after {p.train_steps:,} steps; look at its log")
    return found[-1]


def _show(line: str, progress: Progress) -> None:
    """Have ``progress`` stand where the line says t2t-trainer is."""
    if (said := _LOSS.match(line)) is not None:
        progress.note("loss", float(said[1]))
        progress.advance(max(0, int(said[2]) - progress.done))


def _spoiled(data_dir: Path) -> RunFailed | None:
    """Which record file is spoiled, if one is."""
    for path in sorted(data_dir.iterdir()):
        try:
            with path.open("rb") as file:
                for _ in read_frames(file):
                    pass
        except SpoiledRecord as spoiled:
            return RunFailed(f"records/{path.name}: {spoiled}; delete it and run the datagen step again")
    return None


def _metrics(parameters: Parameters, evaluation: Evaluation, triplets: int, folder: Path, run: str) -> dict[str, Any]:
    """What goes into ``metrics.json``."""
    batch_size = int(json.loads((folder / "hparams.json").read_text())["batch_size"])
    evaluated = min(triplets, parameters.eval_steps * batch_size) if parameters.eval_steps else triplets
    return {
        "run": run,
        "trainer": "t2t",
        "problem": parameters.problem,
        "hparams_set": parameters.hparams_set,
        "steps": evaluation.step,
        "loss": evaluation.loss,
        "triplet_accuracy": {"overall": evaluation.triplet_accuracy},
        "counts": {"overall": evaluated},
        "right": {"overall": round(evaluation.triplet_accuracy * evaluated)},
        "chance": CHANCE,
    }


def _put(storage: Storage, run: str, folder: Path, checkpoints: TrainerCheckpoints, metrics: Mapping[str, Any]) -> str:
    """Store the last checkpoint, what belongs to it and the metrics; the checkpoint's SHA-256 in hex."""
    last = checkpoints.last()
    if last is None:
        raise RunFailed(f"t2t-trainer left no checkpoint in {folder}")
    files, _ = last
    directory = f"{layout.model_dir(run)}/t2t"
    # Markers of other parameters must not outlive what they were written for.
    for marked in (layout.model_dir(run), layout.report_dir(run)):
        storage.delete(f"{marked}/{layout.DONE}")
    for entry in list(storage.list(directory)):
        storage.delete(entry.path)
    digest = hashlib.sha256()
    others = [*folder.glob("*.json"), *folder.glob("events.*"), *folder.glob("eval*/events.*")]
    for file in [*files, *sorted(others)]:
        if file in files and not file.name.endswith(".meta"):
            digest.update(file.read_bytes())
        # A copy: until everything is marked, a killed step goes on from the folder.
        copy = folder / "copy"
        shutil.copyfile(file, copy)
        storage.write_file(f"{directory}/{file.relative_to(folder).as_posix()}", copy)
    storage.write(f"{directory}/{STATE}", state_of(files))
    storage.write(f"{layout.report_dir(run)}/metrics.json", (json.dumps(metrics, indent=1) + "\n").encode())
    storage.write(f"{layout.report_dir(run)}/report.html", _page(metrics).encode())
    return digest.hexdigest()


def _page(metrics: Mapping[str, Any]) -> str:
    """The same for a person."""
    right, count = metrics["right"]["overall"], metrics["counts"]["overall"]
    rows = {
        "strict triplet accuracy on dev": f"{metrics['triplet_accuracy']['overall']:.1%}: {right:,} of {count:,}",
        "chance": f"{metrics['chance']:.1%}",
        "loss on dev": f"{metrics['loss']:.4f}",
        "steps": f"{metrics['steps']:,}",
        "problem": metrics["problem"],
        "hparams set": metrics["hparams_set"],
    }
    cells = "\n".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    title = escape(f"Tensor2Tensor run {metrics['run']}")
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>body {{ font: 16px sans-serif; margin: 2em }} th {{ text-align: left; padding-right: 2em }}</style>\n"
        f"<h1>{title}</h1>\n<table>\n{cells}\n</table>\n</html>\n"
    )


def _mark(
    storage: Storage,
    run: str,
    fingerprint: str,
    digest: str,
    metrics: Mapping[str, Any],
    parameters: Parameters,
    records: RecordFiles,
) -> None:
    report = hashlib.sha256(json.dumps(metrics, sort_keys=True).encode()).hexdigest()
    write_done(storage, layout.report_dir(run), Done("t2t_train", fingerprint, report, metrics["counts"]))
    details = {
        "image_size": records.image_size,
        "parameters": {name: value for name, value in asdict(parameters).items() if name != "root"},
    }
    counts = {"steps": parameters.train_steps, "triplets": records.triplets}
    write_done(storage, layout.model_dir(run), Done("t2t_train", fingerprint, digest, counts, details))
