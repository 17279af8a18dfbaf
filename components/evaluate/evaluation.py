"""One evaluation: read, embed, score, show, mark."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from components.evaluate import accuracy, gathering, report
from components.evaluate.embedding import embed, read_eval
from fec import layout
from fec.done import Done, write_done
from fec.layout import SPLITS
from fec.progress import event
from fec.storage import Storage

if TYPE_CHECKING:
    from components.evaluate.step import Parameters

CHANCE = 1 / 3
FUNNEL = ("images", "fetched", "faces", "faces_ok", "triplets", "triplets_ok", "records")


def evaluate(storage: Storage, parameters: Parameters, count: int, fingerprint: str) -> None:
    """Do the step; see ``components.evaluate.step.run``."""
    triplets, faces = read_eval(storage, count)
    embeddings = embed(storage, parameters.run, faces, parameters.batch_size)
    answers = accuracy.odd_ones_out(triplets, embeddings)
    scores = accuracy.scores(triplets, answers)
    funnels = {split: gathering.funnel(storage, split) for split in SPLITS}
    shared = gathering.shared(storage)
    metrics: dict[str, Any] = {
        "triplet_accuracy": {name: score.accuracy for name, score in scores.items()},
        "counts": {name: score.count for name, score in scores.items()},
        "chance": CHANCE,
        "funnel": {split: {key: funnels[split][key] for key in FUNNEL} for split in SPLITS},
        "shared": {"images": shared.images, "faces": shared.faces},
    }
    directory = layout.report_dir(parameters.run)
    page = report.page(
        report.Content(
            run=parameters.run,
            funnels=funnels,
            scores=scores,
            shared=shared,
            accepted=gathering.accepted(storage),
            rejected=gathering.rejected(storage),
            shown_triplets=gathering.shown_triplets(triplets, answers, faces),
            history=gathering.history(storage, parameters.run),
            provenance=gathering.provenance(storage, parameters.run),
        )
    )
    numbers = (json.dumps(metrics, indent=1) + "\n").encode()
    storage.write(f"{directory}/metrics.json", numbers)
    storage.write(f"{directory}/report.html", page.encode())
    overall = scores["overall"]
    event("evaluated", f"triplet accuracy {overall.right:,} of {overall.count:,} (chance 33.3 %)")
    digest = hashlib.sha256(numbers).hexdigest()
    counts = {name: score.count for name, score in scores.items()}
    write_done(storage, directory, Done("evaluate", fingerprint, digest, counts))
