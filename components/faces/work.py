"""One shard: its planned faces and stored originals → crops and ``faces.parquet``, going on after a kill."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from components.faces.crops import ImageInPlace, rejected_path, rows, store
from components.faces.early import EARLY, asked_of, verified_early
from components.faces.rejudging import Earlier, rejudged
from components.faces.verification import Verdict, WantedFace, rejected
from components.faces.verifiers import ImageTask, Verifiers
from fec import layout, tables
from fec.boxes import Box
from fec.codecs import extras
from fec.errors import RunFailed
from fec.journal import Journal
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.progress import Progress
from fec.row_types import from_values, to_json
from fec.rows import PlannedFace, VerifiedFace
from fec.segments import StoredImage, original, read_original, stored_images
from fec.storage import Storage

CROP_PREFIX: Final = "cropped@"
# Reads, and puts, under way at a time: a bucket answers one in 50-100 ms, a disk's fsync takes milliseconds.
TRANSFERS: Final = 16

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Result:
    """What a shard came to; ``digest`` covers ids, outcomes and crops, which is what later steps read.

    ``table_sha256`` is that of ``faces.parquet``; ``lacking`` are the extras without which pictures were not decoded.
    """

    digest: str
    counts: Mapping[str, int]
    table_sha256: str
    lacking: Sequence[str]


def planned_faces(storage: Storage, split: str, shards: Collection[int]) -> dict[int, list[WantedFace]]:
    """The plan's faces of each of ``shards``, sorted by (image_id, face_id)."""
    path = f"{layout.plan_dir(split)}/faces.parquet"
    planned: dict[int, list[WantedFace]] = {shard: [] for shard in shards}
    for face in tables.read_rows(storage, path, PlannedFace, filters=[("shard", "in", sorted(shards))]):
        box = Box(face.left, face.right, face.top, face.bottom)
        planned[face.shard].append(WantedFace(face.face_id, face.image_id, box, face.crop_name))
    for faces in planned.values():
        faces.sort(key=lambda face: (face.image_id, face.face_id))
    return planned


def verify(
    storage: Storage,
    split: str,
    shard: int,
    wanted: Sequence[WantedFace],
    fingerprint: str,
    verifiers: Verifiers,
    progress: Progress,
    earlier: Earlier | None = None,
) -> Result:
    """Verify the ``wanted`` faces of a shard and store crops and table; the caller writes the marker.

    Goes on from what a killed run with the same ``fingerprint`` has stored, from what was verified early, and from what
    an ``earlier`` run with a lower threshold found.
    """
    directory = layout.faces_dir(split, shard)
    images = stored_images(storage, split, shard)
    by_image = _by_image(wanted, images, split, shard)
    workspace, is_stored = storage.workspace(directory), _is_stored_in(storage, split, shard)
    with Journal(workspace / "faces.jsonl") as journal:
        # From here on the folder is unfinished, whatever an earlier run with other parameters left in it.
        storage.delete(f"{directory}/{layout.DONE}")
        faces: list[VerifiedFace] = []

        def take(done: list[VerifiedFace]) -> None:
            by_image.pop(done[0].image_id)
            faces.extend(_counted(done, progress))

        def keep(done: list[VerifiedFace]) -> None:
            journal.append({"faces": [to_json(face) for face in done]})
            take(done)

        for done in _replayed(journal, fingerprint, is_stored, by_image):
            take(done)
        asked = asked_of(wanted, verifiers.setup.criteria.settings)
        for done in verified_early(workspace, asked, images):
            if done[0].image_id in by_image and all(is_stored(face) for face in done):
                keep(done)
        (workspace / EARLY).unlink(missing_ok=True)
        for image_id in [name for name in by_image if images[name].outcome is not ImageOutcome.FETCHED]:
            take([_without_image(face, images[image_id], verifiers) for face in by_image[image_id]])

        if earlier is not None and earlier.threshold <= verifiers.threshold:
            for done in _rejudged(earlier, by_image, verifiers.threshold, storage, directory):
                keep(done)

        for done in _verified(storage, split, shard, images, by_image, verifiers):
            keep(done)
        return _finished(storage, split, shard, faces)


def _verified(
    storage: Storage,
    split: str,
    shard: int,
    images: Mapping[str, StoredImage],
    by_image: Mapping[str, Sequence[WantedFace]],
    verifiers: Verifiers,
) -> Iterator[list[VerifiedFace]]:
    """The faces of each image of ``by_image``, as they come, once their crops are stored."""

    def digest(verdicts: Sequence[Verdict]) -> str | None:
        return images[verdicts[0].face.image_id].sha256

    def put(verdicts: Sequence[Verdict]) -> list[VerifiedFace]:
        store(storage, split, shard, verdicts)
        return rows(verdicts, digest(verdicts))

    def task(image: StoredImage) -> ImageTask:
        return ImageTask(read_original(storage, split, shard, image), tuple(by_image[image.image_id]))

    as_stored = sorted((images[name] for name in by_image), key=lambda image: (image.segment, image.offset or 0))
    if not storage.local:
        return overlapped(put, verifiers.map(overlapped(task, as_stored)))
    in_place = (
        ImageInPlace(storage, split, shard, original(split, shard, image), tuple(by_image[image.image_id]))
        for image in as_stored
    )
    return (rows(verdicts, digest(verdicts)) for verdicts in verifiers.map(in_place))


def _finished(storage: Storage, split: str, shard: int, faces: list[VerifiedFace]) -> Result:
    """Store the table, and remove what an earlier run with other parameters left."""
    directory = layout.faces_dir(split, shard)
    faces = sorted(faces, key=lambda face: (face.image_id, face.face_id))
    table = tables.from_rows(faces, VerifiedFace)
    table_sha256 = tables.write_table(storage, f"{directory}/{layout.FACES_TABLE}", table)
    _delete_stale(storage, directory, {face.crop_name for face in faces if face.crop_name})
    kept = {rejected_path(split, shard, face) for face in faces if face.rejected_sha256}
    for entry in list(storage.list(layout.rejected_dir(split, shard))):
        if entry.path not in kept:
            storage.delete(entry.path)
    digest = tables.verified_digest((face.face_id, face.outcome, face.crop_name, face.crop_sha256) for face in faces)
    counts = {"images": len({face.image_id for face in faces}), "faces": len(faces)}
    lacking = sorted({extras.lacking(face.detail) for face in faces} - {""})
    return Result(digest, counts | Counter(str(face.outcome) for face in faces), table_sha256, lacking)


def _by_image(
    wanted: Sequence[WantedFace], images: Mapping[str, StoredImage], split: str, shard: int
) -> dict[str, list[WantedFace]]:
    """The faces by their image; raises RunFailed where an image has not been tried."""
    by_image: dict[str, list[WantedFace]] = {}
    for face in wanted:
        by_image.setdefault(face.image_id, []).append(face)
    if missing := by_image.keys() - images.keys():
        raise RunFailed(
            f"{split} shard {shard}: {len(missing):,} of {len(by_image):,} planned images have not been tried, "
            f"such as {min(missing)}: run download again"
        )
    return by_image


def _replayed(
    journal: Journal,
    fingerprint: str,
    is_stored: Callable[[VerifiedFace], bool],
    by_image: Mapping[str, Sequence[WantedFace]],
) -> Iterator[list[VerifiedFace]]:
    """The faces of each image a killed run has finished, if their crops are stored as it said."""
    if journal.rows[:1] != [{"fingerprint": fingerprint}]:
        journal.clear()
        journal.append({"fingerprint": fingerprint})
        return
    seen: set[str] = set()
    for row in journal.rows[1:]:
        faces = [from_values(VerifiedFace, value) for value in row["faces"]]
        image_id = faces[0].image_id
        if image_id not in seen and all(is_stored(face) for face in faces):
            seen.add(image_id)
            yield faces


def _rejudged(
    earlier: Earlier, by_image: Mapping[str, Sequence[WantedFace]], threshold: float, storage: Storage, directory: str
) -> Iterator[list[VerifiedFace]]:
    """The faces of each image that need not be verified anew to be held against a higher threshold."""
    for image_id in [name for name in by_image if name in earlier.by_image]:
        faces = rejudged(
            earlier.by_image[image_id],
            threshold,
            lambda face: _stored(storage, f"{directory}/{face.crop_name}", face.crop_sha256),
        )
        if faces is not None:
            yield faces


def _is_stored_in(storage: Storage, split: str, shard: int) -> Callable[[VerifiedFace], bool]:
    """Whether what is to be stored of a face is there.

    On this machine's disk a loss of power may have spoiled it, so it is read. A bucket has an object whole or not at
    all, and is asked for their names only.
    """
    names: frozenset[str] | None = None
    if not storage.local:
        folders = (layout.faces_dir(split, shard), layout.rejected_dir(split, shard))
        names = frozenset(entry.path for folder in folders for entry in storage.list(folder))

    def there(path: str, sha256: str | None) -> bool:
        return _stored(storage, path, sha256) is not None if names is None else path in names

    def is_stored(face: VerifiedFace) -> bool:
        crop, rejected = f"{layout.faces_dir(split, shard)}/{face.crop_name}", rejected_path(split, shard, face)
        return (face.crop_name is None or there(crop, face.crop_sha256)) and (
            face.rejected_sha256 is None or there(rejected, face.rejected_sha256)
        )

    return is_stored


def _stored(storage: Storage, path: str, sha256: str | None) -> bytes | None:
    """A crop, if it is the one that a face's row tells of."""
    try:
        crop = storage.read(path)
    except FileNotFoundError:
        return None
    return crop if hashlib.sha256(crop).hexdigest() == sha256 else None


def _without_image(face: WantedFace, image: StoredImage, verifiers: Verifiers) -> VerifiedFace:
    detail = f"{image.outcome}: {image.detail}" if image.detail else str(image.outcome)
    return rejected(face, FaceOutcome.NO_IMAGE, detail, verifiers.setup.criteria.detector).face


def overlapped(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``function`` of each item, in order, with up to TRANSFERS calls under way at a time."""
    under_way: deque[Future[R]] = deque()
    with ThreadPoolExecutor(TRANSFERS) as threads:
        for item in items:
            under_way.append(threads.submit(function, item))
            while under_way and (under_way[0].done() or len(under_way) >= TRANSFERS):
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _delete_stale(storage: Storage, directory: str, kept: set[str]) -> None:
    """Remove crops an earlier run with other parameters left."""
    for entry in list(storage.list(directory)):
        name = entry.path.removeprefix(f"{directory}/")
        if name.startswith(CROP_PREFIX) and name not in kept:
            storage.delete(entry.path)


def _counted(faces: list[VerifiedFace], progress: Progress) -> list[VerifiedFace]:
    for face in faces:
        progress.advance(1, str(face.outcome))
    return faces
