"""What each step makes of one small fixed input, as a digest that no machine, clock or file format changes."""

import dataclasses
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from components.collect import step as collect
from components.datagen import step as datagen
from components.faces import step as faces
from components.plan import step as plan
from fec import identity, layout, tables
from fec.boxes import Box
from fec.done import Done, read_done, write_done
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.segments import SegmentWriter, Tried
from fec.storage import Storage, open_storage
from tests.components.faces.scene import AT, PEOPLE, SCENES, encoded, face_box, photograph

SPLIT: Final = layout.TRAIN
# How far a box is moved to the right, in widths of the face: from where it is found to where it is not.
MOVED: Final = (0.0, 0.1, 0.3, 0.5, 0.6, 0.65, 0.7, 0.75, 0.9, 1.2)
# Of three, five and six raters: all agree, two thirds do, half do, none do.
VOTES: Final = ((1, 1, 1), (2, 2, 3), (1, 1, 2, 3), (3, 3, 3, 2, 1), (1, 2, 3), (2, 2, 2, 2, 1, 3), (1, 1, 1, 2, 2, 3))
TYPES: Final = ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")


def urls() -> list[str]:
    return [f"http://{name}.example/{name}.jpg" for name in (*PEOPLE, *SCENES)]


def boxes(name: str) -> list[Box]:
    """Boxes around the face of a photograph, and away from it."""
    if name not in PEOPLE:
        return [Box(0.3, 0.6, 0.3, 0.6)]
    box = face_box(name)
    width = box.right - box.left
    moved = [
        Box(min(box.left + by * width, 0.9), min(box.right + by * width, 1.0), box.top, box.bottom) for by in MOVED
    ]
    return [*moved, Box(0.0, box.right, 0.0, box.bottom)]


def fixed_list() -> str:
    """A list as FEC's, of triplets over all boxes of the photographs."""
    faces = [(f"http://{name}.example/{name}.jpg", box) for name in (*PEOPLE, *SCENES) for box in boxes(name)]
    lines = []
    for number in range(3 * len(faces)):
        three = [faces[(number + offset * (number % 5 + 1)) % len(faces)] for offset in range(3)]
        cells = [cell for url, box in three for cell in (f'"{url}"', box.left, box.right, box.top, box.bottom)]
        votes = [cell for rater, vote in enumerate(VOTES[number % len(VOTES)]) for cell in (f"r{rater}", vote)]
        lines.append(",".join(str(cell) for cell in (*cells, TYPES[number % 3], *votes)))
    return "\n".join(lines) + "\n"


def made_root(folder: Path) -> str:
    """A root with plan, originals, crops, collection and records of the fixed input."""
    csv, root = folder / "list.csv", str(folder / "root")
    csv.write_text(fixed_list())
    plan.run(plan.Parameters(root=root, split=SPLIT, annotations=str(csv), num_shards=2))
    storage = open_storage(root)
    _store_originals(storage)
    faces.run(faces.Parameters(root=root, split=SPLIT))
    collect.run(collect.Parameters(root=root, split=SPLIT, triplets_per_record_shard=30))
    datagen.run(datagen.Parameters(root=root, split=SPLIT, image_size=32, layout="both"))
    return root


def _store_originals(storage: Storage) -> None:
    """The photographs, where download would have put them: what it stores is what a host gave."""
    images = tables.read_table(storage, f"{layout.plan_dir(SPLIT)}/images.parquet").to_pylist()
    for shard in {row["shard"] for row in images}:
        with SegmentWriter(storage, SPLIT, shard) as writer:
            for row in images:
                if row["shard"] == shard:
                    name = row["url"].rpartition("/")[2].removesuffix(".jpg")
                    tried = Tried(identity.image_id(row["url"]), row["url"], ImageOutcome.FETCHED, "", 1, AT)
                    writer.add(tried, encoded(photograph(name), quality=95), "jpg")
            writer.finish()
        counts = {"fetched": sum(row["shard"] == shard for row in images)}
        write_done(storage, layout.images_dir(SPLIT, shard), Done("download", "0" * 64, f"{shard}", counts))


def _table(storage: Storage, path: str, leave_out: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The rows of a table without the columns ``leave_out``."""
    rows = tables.read_table(storage, path).to_pylist()
    return [{name: value for name, value in row.items() if name not in leave_out} for row in rows]


def _plan(storage: Storage) -> Any:
    names = ("images", "faces", "triplets")
    return [_table(storage, f"{layout.plan_dir(SPLIT)}/{name}.parquet") for name in names]


def _faces(storage: Storage) -> Any:
    # Confidences differ in the last digits from one processor to another, and with them what was found where.
    kept = ("face_id", "outcome", "crop_name", "crop_sha256")
    tables_of = [f"{layout.faces_dir(SPLIT, shard)}/{layout.FACES_TABLE}" for shard in range(2)]
    rows = [row for path in tables_of for row in _table(storage, path)]
    return [{name: row[name] for name in kept} | {"confidence": round(row["confidence"] or 0, 2)} for row in rows]


def _collect(storage: Storage) -> Any:
    done = read_done(storage, layout.collect_dir(SPLIT))
    assert done is not None
    return [done.digest, dict(done.counts)]


def _datagen(storage: Storage) -> Any:
    return {
        entry.path: hashlib.sha256(storage.read(entry.path)).hexdigest()
        for entry in storage.list("records")
        if layout.DONE not in entry.path
    }


RESULTS: Final[Mapping[str, Callable[[Storage], Any]]] = {
    "plan": _plan,
    "faces": _faces,
    "collect": _collect,
    "datagen": _datagen,
}


def downloaded(folder: Path) -> Any:
    """What is kept of a few answers: by path the outcome, the status and the digest of what is stored."""
    from components.download import step as download
    from fec.segments import stored_images
    from tests.components.download.site import JPEG, answer, plan, redirect, serve

    pages = {
        "/picture": answer(),
        "/packed": answer(gzip.compress(JPEG, mtime=0), Content_Encoding="gzip"),
        "/moved": redirect("/picture"),
        "/gone": answer(status="404 Not Found"),
        "/refused": answer(status="403 Forbidden"),
        "/page": answer(b"<!doctype html><title>gone</title>", Content_Type="text/html"),
        "/empty": answer(b""),
    }
    with serve() as site:
        site.pages.update(pages)
        root = str(folder / "fetched")
        plan(root, [site.url(path) for path in pages])
        download.run(download.Parameters(root=root, split=SPLIT, allow_network=("127.0.0.0/8",), attempts=1))
    rows = stored_images(open_storage(root), SPLIT, 0).values()
    kept = [(row.url.rpartition("/")[2], row.outcome, row.http_status, row.sha256, row.length) for row in rows]
    return sorted(kept, key=lambda row: row[0])


def train_numbers() -> list[float]:
    """What training rests on, as numbers that differ a little from one processor to another.

    The losses of fixed embeddings, what augmentation makes of a fixed face, the size of the networks, and what is
    chosen for sets of several sizes.
    """
    import tensorflow as tf

    from components.train.augmentation import STRENGTHS, augmented
    from components.train.choice import choose
    from components.train.loss import likelihood_loss, margin_loss
    from components.train.models import MODELS, Shape
    from components.train.parameters import Parameters

    defaults, chance = Parameters(root="none"), np.random.default_rng(5)
    embeddings = tf.constant(chance.normal(size=(9, 3, 16)) / 6, tf.float32)
    odd, kind = np.arange(9) % 3 + 1, np.arange(9) // 3 + 1
    votes = tf.constant(chance.integers(0, 5, (9, 3)), tf.float32)
    losses = (
        margin_loss(embeddings, odd, kind, defaults.margin_one_class, defaults.margin),
        likelihood_loss(embeddings, votes),
    )
    numbers = [float(number) for loss in losses for number in np.ravel(loss)]
    face = tf.constant(np.repeat(photograph("astronaut")[None, 60:188:4, 170:298:4], 4, axis=0), tf.float32)
    for strength in STRENGTHS.values():
        if strength is not None:
            changed = augmented(face, strength, tf.constant([3, 7], tf.int64))
            for found in (tf.reduce_mean(changed, (1, 2)), tf.math.reduce_std(changed, (1, 2))):
                numbers += [float(number) for number in np.ravel(found)]
    for network in (make(Shape(32, backbone="MobileNetV2")) for make in MODELS.values()):
        numbers += [network.count_params(), len(network.layers)]
    for triplets, faces_, size in ((300, 200, 64), (60_000, 900, 32), (20_000, 30_000, 32), (450_000, 150_000, 64)):
        chosen = choose(defaults, triplets, faces_, size, accelerated=False)
        numbers += [chosen.steps, chosen.learning_rate, chosen.warmup_steps, float(chosen.augmentation == "strong")]
    return numbers


def report_page() -> str:
    """The report of made-up figures."""
    from components.evaluate import report
    from components.evaluate.accuracy import Score
    from fec.funnel import Funnel, Outcomes
    from fec.history import History
    from tests.components.evaluate.made_up import content

    outcomes = Outcomes({str(code): 3 for code in ImageOutcome}, {str(code): 2 for code in FaceOutcome})
    funnel = Funnel(90, 80, 70, 60, 50, 40, 30, 2, 1, {"1": 3, "2": 4, "3": 5}, outcomes)
    scores = {"overall": 30, "one_class": 9, "two_class": 10, "three_class": 11}
    told = dataclasses.replace(
        content("text"),
        funnels=dict.fromkeys(layout.SPLITS, funnel),
        scores={name: Score(count // 2, count) for name, count in scores.items()},
        by_agreement={"all_votes": Score(20, 25), "four_fifths": Score(2, 4), "fewer": Score(0, 1)},
        raters={name: Score(3 * count, 4 * count) for name, count in scores.items()},
        pixel_baseline=Score(12, 30),
        history=History([10, 20], [0.3, 0.2], [0.4, 0.6]),
    )
    return report.page(told)


# Whose results a step works on: with these, its own are others without any change of its code.
INPUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "plan": (),
    "faces": ("plan",),
    "collect": ("plan", "faces"),
    "datagen": ("faces", "collect"),
}


def digest(value: Any) -> str:
    """64 hex digits of what JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
