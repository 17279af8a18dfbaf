"""One evaluation: read, embed, score, show, mark."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from components.evaluate import losses, repeated, report, report_data
from components.evaluate.about import about
from components.evaluate.all_faces import store_embeddings
from components.evaluate.answered import mistakes, some_right
from components.evaluate.copies import copies
from components.evaluate.embedding import embedded, load_network
from components.evaluate.expressions import face_map, queries
from components.evaluate.leaks import sharing
from components.evaluate.measuring import Measured, as_json, measured
from components.evaluate.parameters import Parameters
from components.evaluate.politeness import times
from components.evaluate.tensorboard import store_logs
from fec import layout, model_card
from fec.done import Done, read_done, write_done
from fec.funnel import Funnel, read_funnel
from fec.history import read_history
from fec.layout import EVAL, SPLITS, TRAIN
from fec.progress import event
from fec.record_files import RecordFiles
from fec.storage import Storage
from fec.thresholds import kept_by_threshold


def evaluate(
    storage: Storage, parameters: Parameters, records: RecordFiles, train: RecordFiles | None, fingerprint: str
) -> None:
    """Do the step; see ``components.evaluate.step.run``. The faces of ``train`` are embedded too, if it is given."""
    network = load_network(storage, parameters.run)
    found = embedded(storage, records, network, parameters.batch_size)
    photographs = report_data.photographs(storage)
    shares = sharing(storage, found.triplets)
    seen = measured(
        found.triplets, found.embeddings, found.pixels, photographs, shares, exclude=parameters.exclude_leaks
    )
    funnels = {split: read_funnel(storage, split) for split in SPLITS}
    shared, history = report_data.shared(storage), read_history(storage, parameters.run)
    lists = losses.read_lists(storage)
    metrics = (
        {"run": parameters.run}
        | as_json(seen)
        | {
            "shared": {"images": shared.images, "faces": shared.faces},
            "faces": len(found.embeddings),
            "measured_on": {"fingerprint": seen.subset.fingerprint, "triplets": len(seen.subset.of(EVAL))},
            "funnel": {split: funnels[split].stages for split in SPLITS},
            "repeated": {split: repeated.values(funnels[split].repeated) for split in SPLITS},
            "leaks": repeated.values(funnels[TRAIN].leaks),
            "subset": {split: _subset(funnels[split]) for split in SPLITS},
        }
    )
    page = report.page(
        report.Content(
            run=parameters.run,
            funnels=funnels,
            scores=seen.scores,
            by_agreement=seen.by_agreement,
            raters=seen.raters,
            pixel_baseline=seen.pixel_baseline,
            without=seen.without,
            excluded=seen.excluded,
            confusions=seen.confusions,
            geometry=seen.geometry,
            shared=shared,
            about=about(storage, parameters.run, records, datetime.now(UTC).date().isoformat()),
            losses=report.Losses(losses.hosts(lists), losses.examples(lists), losses.remedies(lists)),
            thresholds={split: kept for split in SPLITS if (kept := kept_by_threshold(storage, split)) is not None},
            copies=copies(storage, lists),
            times=times(lists),
            accepted=report_data.accepted_crops(storage),
            rejected=report_data.rejected_crops(storage),
            face_map=face_map(found.embeddings, found.thumbnails),
            queries=queries(found.embeddings, found.thumbnails, photographs),
            mistakes=mistakes(seen.triplets, seen.answers, seen.left_out, found.thumbnails),
            some_right=some_right(seen.triplets, seen.answers, seen.left_out, found.thumbnails),
            history=history,
            provenance=report_data.provenance(storage, parameters.run, records, seen.subset),
        )
    )
    _put(storage, parameters.run, metrics, page)
    store_logs(storage, parameters.run, seen, found.embeddings, found.thumbnails, max(history.steps, default=0))
    stored = store_embeddings(storage, parameters.run, network, found, train, parameters.batch_size)
    model_card.note_accuracy(storage, parameters.run, _accuracy(metrics))
    _mark(storage, parameters.run, fingerprint, seen, metrics, stored)


def _put(storage: Storage, run: str, metrics: Mapping[str, Any], page: str) -> None:
    directory = layout.report_dir(run)
    # A marker of another training must not outlive the report it was written for.
    storage.delete(f"{directory}/{layout.DONE}")
    storage.write(f"{directory}/metrics.json", _numbers(metrics))
    storage.write(f"{directory}/report.html", page.encode())


def _mark(
    storage: Storage, run: str, fingerprint: str, seen: Measured, metrics: Mapping[str, Any], embeddings: str
) -> None:
    """Last of all; ``embeddings`` is the digest of their table."""
    collected = read_done(storage, layout.collect_dir(EVAL))
    assert collected is not None  # what run looked at
    details = {"embeddings_sha256": embeddings, "collected": collected.digest}
    counts = {name: score.count for name, score in seen.scores.items()}
    digest = hashlib.sha256(_numbers(metrics)).hexdigest()
    write_done(storage, layout.report_dir(run), Done("evaluate", fingerprint, digest, counts, details))
    overall = seen.scores["overall"]
    event(
        "evaluated",
        f"triplet accuracy {overall.right:,} of {overall.count:,} "
        f"(pixels alone {seen.pixel_baseline.right:,}, chance a third)",
    )


def _numbers(metrics: Mapping[str, Any]) -> bytes:
    return (json.dumps(metrics, indent=1) + "\n").encode()


def _subset(funnel: Funnel) -> dict[str, Any] | None:
    """What a split was held to, if it was not taken whole."""
    return None if funnel.subset is None else vars(funnel.subset)


def _accuracy(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What ``model.json`` says of the metrics."""
    named = ("triplet_accuracy", "counts", "interval_95", "chance", "by_pixels")
    return {"eval": {name: metrics[name] for name in named}}
