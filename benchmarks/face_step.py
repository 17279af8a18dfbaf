"""What the faces step as a whole takes, its storage and workers too: python benchmarks/face_step.py [--pictures N].

A root of packaged photographs at 1024 pixels, a face each, is verified by one worker and by two. What starting them
takes is left out: it is what few pictures take, and is subtracted.
"""

from __future__ import annotations

import argparse
import io
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from components.faces import step
from components.faces.parameters import Parameters
from fec import identity, layout, tables
from fec.boxes import Box
from fec.done import Done, write_done
from fec.outcomes import ImageOutcome
from fec.rows import PlannedFace
from fec.segments import SegmentWriter, Tried
from fec.storage import open_storage

FEW: Final = 70  # enough for two workers
_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Taken:
    """Seconds by the clock, and of CPU: the step's own process and its workers'."""

    wall: float
    own: float
    workers: float


def root_of(folder: Path, pictures: Sequence[tuple[bytes, Box]], count: int) -> None:
    """A planned and downloaded split of one shard below ``folder``: ``count`` URLs with ``pictures`` in turn."""
    storage = open_storage(str(folder))
    urls = [f"http://photographs.example/{number}.jpg" for number in range(count)]
    boxes = [pictures[number % len(pictures)][1] for number in range(count)]
    rows = [
        PlannedFace(
            identity.face_id(url, box),
            identity.image_id(url),
            0,
            **box._asdict(),
            crop_name=identity.crop_name(url, box),
        )
        for url, box in zip(urls, boxes, strict=True)
    ]
    rows.sort(key=lambda row: (row.image_id, row.face_id))
    directory = layout.plan_dir("train")
    digest = tables.write_table(storage, f"{directory}/faces.parquet", tables.from_rows(rows, PlannedFace))
    write_done(storage, directory, Done("plan", "0" * 64, digest, {}, {"num_shards": 1}))
    with SegmentWriter(storage, "train", 0) as writer:
        for number, url in enumerate(urls):
            tried = Tried(identity.image_id(url), url, ImageOutcome.FETCHED, "", 1, _AT)
            writer.add(tried, pictures[number % len(pictures)][0], "jpg")
        writer.finish()
    write_done(storage, layout.images_dir("train", 0), Done("download", "0" * 64, f"{count}"))


def run(pictures: Sequence[tuple[bytes, Box]], count: int, workers: int, criteria: Parameters) -> Taken:
    """What the step takes for ``count`` pictures, all of it."""
    with tempfile.TemporaryDirectory() as folder:
        root_of(Path(folder), pictures, count)
        before, wall = _cpu(), time.perf_counter()
        step.run(replace(criteria, root=folder, workers=workers))
        wall = time.perf_counter() - wall
        own, children = (after - earlier for after, earlier in zip(_cpu(), before, strict=True))
        return Taken(wall, own, children)


def each(pictures: Sequence[tuple[bytes, Box]], count: int, workers: int, criteria: Parameters, rounds: int) -> Taken:
    """Milliseconds a picture, the median of some rounds, without what it takes to start."""
    found = []
    for _ in range(rounds):
        few, many = (run(pictures, n, workers, criteria) for n in (FEW, FEW + count))
        found.append([1000 * (b - a) / count for a, b in zip(_values(few), _values(many), strict=True)])
    return Taken(*(statistics.median(values) for values in zip(*found, strict=True)))


def _values(taken: Taken) -> tuple[float, float, float]:
    return taken.wall, taken.own, taken.workers


def _cpu() -> tuple[float, float]:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def report(pictures: Sequence[tuple[bytes, Box]], count: int, rounds: int, criteria: Parameters) -> None:
    """Print what one worker and two take."""
    one, two = (each(pictures, count, workers, criteria, rounds) for workers in (1, 2))
    for workers, taken in (("one worker", one), ("two workers", two)):
        whole = taken.own + taken.workers
        print(
            f"  the step, {workers}: {whole:.2f} ms of CPU time an image ({taken.workers:.2f} in workers, "
            f"{taken.own:.2f} reading, handing over and storing), {1000 / whole:.0f} a second and core"
        )
    print(
        f"  two: {one.wall / two.wall:.2f} times as fast as one by the clock ({two.wall:.1f}, {one.wall:.1f} ms), "
        f"with {two.workers / one.workers:.2f} times the CPU time an image"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    from benchmarks.faces import CRITERIA, PEOPLE, packaged

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    pictures = [(photograph.data, photograph.boxes[0]) for photograph in packaged(False, PEOPLE)]
    with redirect_stderr(io.StringIO()):  # what the step says
        report(pictures, options.pictures, options.rounds, CRITERIA)


if __name__ == "__main__":
    main()
