"""Verify faces while a download is at work: the wait for its hosts is used, and the step finds its work half done.

A process beside the download, of low priority, on the same machine. It stores crops and keeps the verdicts where the
step looks for them (early.py), and writes no table and no marker; what it does not come to the step does, and what it
fails of the step says. The step never waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Final

from components.faces.crops import rows, store
from components.faces.detectors.weights import local_weights
from components.faces.early import EARLY, asked_of, begin, keep
from components.faces.parameters import Parameters
from components.faces.verification import Verdict, WantedFace
from components.faces.verifiers import FEW_IMAGES, ImageTask, Setup, Verifiers
from components.faces.work import overlapped, planned_faces
from fec import layout
from fec.cores import available_cores
from fec.done import read_done
from fec.errors import RunFailed
from fec.journal import Journal
from fec.progress import event
from fec.rows import VerifiedFace
from fec.segments.watching import Watched, at_work
from fec.storage import Storage, open_storage

# Seconds between two looks at what came.
LOOK: Final = 0.5
# Shards followed at a time: each has a file open.
MOST_SHARDS: Final = 256


def verify_ahead(parameters: Parameters) -> int:
    """Verify what the downloads of this machine store below the root, of both splits, as long as one is at work.

    How many faces that were. ``split`` and ``group`` of the parameters do not matter. A shard that the step has
    finished before is left to the step: what lies there counts until it is done again.
    """
    storage, faces = open_storage(parameters.root), 0
    # One core is left to the download and to whoever else there is.
    workers = parameters.workers or max(1, available_cores() - 1)
    with (
        local_weights(parameters.detector_weights) as weights,
        Verifiers(Setup(parameters, weights), workers, workers * FEW_IMAGES) as verifiers,
        ExitStack() as followed,
    ):
        shards: dict[tuple[str, int], _Shard | None] = {}
        while _follow(storage, parameters, shards, followed):
            came = sum(shard.verify(verifiers) for shard in list(shards.values()) if shard is not None)
            faces += came
            if not came:
                time.sleep(LOOK)
    if faces:
        event("ahead", f"{faces:,} faces were verified while the download was at work", faces=faces)
    return faces


def _follow(
    storage: Storage, parameters: Parameters, shards: dict[tuple[str, int], _Shard | None], followed: ExitStack
) -> bool:
    """Let go of the shards whose download is done, and take up those that it has begun with; whether there are any."""
    for place in [place for place, shard in shards.items() if shard is not None and not shard.is_open]:
        shard = shards.pop(place)
        assert shard is not None
        shard.journal.close()
    some = False
    for split in layout.SPLITS:
        found = at_work(storage, split)
        some = some or bool(found)
        room = MOST_SHARDS - sum(shard is not None for shard in shards.values())
        new = [number for number in found if (split, number) not in shards][: max(0, room)]
        wanted = planned_faces(storage, split, new) if new else {}
        for number in new:
            shard = shards[split, number] = None
            if read_done(storage, layout.faces_dir(split, number)) is not None:
                continue
            watched = Watched(storage, split, number, found[number])
            with suppress(RunFailed):  # another process is at it
                journal = Journal(storage.workspace(layout.faces_dir(split, number)) / EARLY)
                followed.callback(journal.close)
                own = replace(parameters, split=split)
                shards[split, number] = _Shard(storage, own, number, watched, journal, wanted[number])
    return some


class _Shard:
    """One shard whose download is at work, and the journal of its faces, which is held meanwhile."""

    def __init__(
        self,
        storage: Storage,
        parameters: Parameters,
        number: int,
        watched: Watched,
        journal: Journal,
        wanted: list[WantedFace],
    ) -> None:
        self.watched, self.journal = watched, journal
        self._storage, self._split, self._number = storage, parameters.split, number
        self._judged = begin(journal, asked_of(wanted, parameters.settings))
        # The faces of each image.
        self._wanted: dict[str, list[WantedFace]] = {}
        for face in wanted:
            self._wanted.setdefault(face.image_id, []).append(face)

    @property
    def is_open(self) -> bool:
        """Whether the download is at work on the shard, and the step is not."""
        return self.watched.at_work and self.journal.there

    def verify(self, verifiers: Verifiers) -> int:
        """Verify what has come since the last time, or as much of it as comes before the download is done; how many."""
        digests: dict[str, str | None] = {}

        def tasks() -> Iterator[ImageTask]:
            for image in self.watched.new():
                if not self.is_open:
                    return
                if image.image_id in self._judged or image.image_id not in self._wanted:
                    continue
                data = self.watched.read(image)
                if data is not None:
                    self._judged.add(image.image_id)
                    digests[image.image_id] = image.sha256
                    yield ImageTask(data, tuple(self._wanted[image.image_id]))

        def put(verdicts: list[Verdict]) -> list[VerifiedFace]:
            store(self._storage, self._split, self._number, verdicts)
            return rows(verdicts, digests[verdicts[0].face.image_id])

        count = 0
        for done in overlapped(put, verifiers.sure(tasks())):
            keep(self.journal, done)
            count += len(done)
        return count
