"""One evaluation: read, embed, score, show, mark."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from components.evaluate import accuracy, losses, raters, repeated, report, report_data
from components.evaluate.about import about
from components.evaluate.accuracy import CHANCE, Score
from components.evaluate.all_faces import store_embeddings
from components.evaluate.answered import mistakes, some_right
from components.evaluate.copies import copies
from components.evaluate.embedding import embedded, load_network
from components.evaluate.expressions import face_map, queries
from components.evaluate.parameters import Parameters
from components.evaluate.politeness import times
from fec import layout, model_card
from fec.done import Done, read_done, write_done
from fec.funnel import read_funnel
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
    triplets = found.triplets
    left_out = accuracy.distances(triplets, found.embeddings)
    answers = accuracy.answers(left_out)
    photographs = report_data.photographs(storage)
    scores = accuracy.scores(triplets, answers, photographs)
    agreement = accuracy.scores_of(raters.by_agreement(triplets), triplets, answers, photographs)
    rated = raters.leave_one_out(triplets)
    pixel_answers = accuracy.odd_ones_out(triplets, found.pixels)
    pixel_baseline = accuracy.scores(triplets, pixel_answers, photographs)["overall"]
    funnels = {split: read_funnel(storage, split) for split in SPLITS}
    shared = report_data.shared(storage)
    lists = losses.read_lists(storage)
    metrics = _metrics(parameters.run, scores, agreement, rated, pixel_baseline, shared) | {
        "faces": len(found.embeddings),
        "funnel": {split: funnels[split].stages for split in SPLITS},
        "repeated": {split: repeated.values(funnels[split].repeated) for split in SPLITS},
        "leaks": repeated.values(funnels[TRAIN].leaks),
    }
    page = report.page(
        report.Content(
            run=parameters.run,
            funnels=funnels,
            scores=scores,
            by_agreement=agreement,
            raters=rated,
            pixel_baseline=pixel_baseline,
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
            mistakes=mistakes(triplets, answers, left_out, found.thumbnails),
            some_right=some_right(triplets, answers, left_out, found.thumbnails),
            history=read_history(storage, parameters.run),
            provenance=report_data.provenance(storage, parameters.run, records),
        )
    )
    numbers = (json.dumps(metrics, indent=1) + "\n").encode()
    directory = layout.report_dir(parameters.run)
    # A marker of another training must not outlive the report it was written for.
    storage.delete(f"{directory}/{layout.DONE}")
    storage.write(f"{directory}/metrics.json", numbers)
    storage.write(f"{directory}/report.html", page.encode())
    stored = store_embeddings(storage, parameters.run, network, found, train, parameters.batch_size)
    model_card.note_accuracy(storage, parameters.run, _accuracy(metrics))
    counts = {name: score.count for name, score in scores.items()}
    digest = hashlib.sha256(numbers).hexdigest()
    collected = read_done(storage, layout.collect_dir(EVAL))
    assert collected is not None  # what run looked at
    details = {"embeddings_sha256": stored, "collected": collected.digest}
    write_done(storage, directory, Done("evaluate", fingerprint, digest, counts, details))
    overall = scores["overall"]
    event(
        "evaluated",
        f"triplet accuracy {overall.right:,} of {overall.count:,} "
        f"(pixels alone {pixel_baseline.right:,}, chance a third)",
    )


def _accuracy(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What ``model.json`` says of the metrics."""
    named = ("triplet_accuracy", "counts", "interval_95", "chance", "by_pixels")
    return {"eval": {name: metrics[name] for name in named}}


def _metrics(
    run: str,
    scores: Mapping[str, Score],
    agreement: Mapping[str, Score],
    rated: Mapping[str, Score],
    pixel_baseline: Score,
    shared: report_data.Shared,
) -> dict[str, Any]:
    """What ``metrics.json`` says of the accuracy, of the raters and of what the splits share."""
    return {
        "run": run,
        "triplet_accuracy": {name: score.accuracy for name, score in scores.items()},
        "counts": {name: score.count for name, score in scores.items()},
        "right": {name: score.right for name, score in scores.items()},
        "interval_95": {name: score.interval if score.count else None for name, score in scores.items()},
        "interval_95_wilson": {name: score.wilson if score.count else None for name, score in scores.items()},
        "by_agreement": {
            name: {"accuracy": score.accuracy, "count": score.count, "interval_95": score.interval}
            for name, score in agreement.items()
            if score.count
        },
        "raters": {name: {"accuracy": score.accuracy, "votes": score.count} for name, score in rated.items()},
        "chance": CHANCE,
        "by_pixels": pixel_baseline.accuracy,
        "by_pixels_interval_95": pixel_baseline.interval if pixel_baseline.count else None,
        "shared": {"images": shared.images, "faces": shared.faces},
    }
