"""The record files of a split as their markers describe them, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fec import layout
from fec.done import Done, read_done, read_markers
from fec.errors import RunFailed
from fec.presets import preset_named
from fec.record_families import made_from
from fec.storage import Storage


@dataclass(frozen=True)
class RecordFiles:
    """Every record file of a split, in order: paths below the root, and the digests of what is in them.

    ``image_size`` is the side of the square faces in pixels, ``triplets`` the number of examples in all files,
    ``jpeg_quality`` 1..100 that of the faces, where the markers say it. ``face_paths``: the files of faces, where
    ``paths`` are of triplets that name them by id (``fec.face_records``); empty where each triplet holds its faces.
    """

    paths: tuple[str, ...]
    digests: tuple[str, ...]
    image_size: int
    triplets: int
    jpeg_quality: int | None = None
    face_paths: tuple[str, ...] = ()


def record_files(storage: Storage, split: str, problem: str = layout.PROBLEM) -> RecordFiles:
    """The record files that the split's collection asks for, of the preset ``problem``, with the faces in each triplet.

    Raises RunFailed, naming them, if some are missing, are not as long as they were written, or are of another
    collection: nobody trains on half of the data, or judges by it, unawares.
    """
    collected = _collected(storage, split)
    count = collected.counts["record_shards"]
    if problem != layout.PROBLEM:
        count = preset_named(problem).record_shards(split, collected.counts["records"], count)
    return _described(_found(storage, split, (problem,), count, collected.digest, _sizes(storage)))


def record_files_of_any_layout(storage: Storage, split: str) -> RecordFiles:
    """The same of whichever layout is there: that with each face once if its files are, else as ``record_files``.

    Where both are there the digests are those of the triplets with their faces inside, so that whoever goes by them
    sees no difference; made of other settings than these, the faces alone are left aside. Raises as ``record_files``
    does, of the layout that lacks less.
    """
    collected = _collected(storage, split)
    count, sizes = collected.counts["record_shards"], _sizes(storage)
    whole, apart = (
        _found(storage, split, problems, count, collected.digest, sizes)
        for problems in ((layout.PROBLEM,), (layout.triplets_problem(), layout.faces_problem()))
    )
    if whole.missing and len(apart.missing) < 2 * len(whole.missing):
        return _described(apart)
    described = _described(whole)
    if apart.missing or apart.settings != whole.settings:
        return described
    return replace(_described(apart), digests=described.digests)


@dataclass(frozen=True)
class _Found:
    """Of a split's files of a layout: their paths by kind, the markers of those that are there, and which are not."""

    split: str
    paths: tuple[tuple[str, ...], ...]
    there: Mapping[str, Done]

    @property
    def missing(self) -> list[str]:
        return [path for paths in self.paths for path in paths if path not in self.there]

    @property
    def settings(self) -> list[Any]:
        """What the files were made from, each once."""
        found: list[Any] = []
        for done in self.there.values():
            if (settings := made_from(done.details)) not in found:
                found.append(settings)
        return found


def _collected(storage: Storage, split: str) -> Done:
    collected = read_done(storage, layout.collect_dir(split))
    if collected is None:
        raise RunFailed(f"{storage.root} has no collected triplets of {split}: run the collect step first")
    return collected


def _sizes(storage: Storage) -> dict[str, int]:
    return {entry.path: entry.size for entry in storage.list("records")}


def _found(
    storage: Storage, split: str, problems: Sequence[str], count: int, collected: str, sizes: Mapping[str, int]
) -> _Found:
    """The files whose names begin with ``problems``, ``count`` of each, held against ``sizes`` by path."""
    paths = tuple(
        tuple(layout.record_file(split, number, count, problem) for number in range(count)) for problem in problems
    )
    folders = [layout.record_done_dir(split, number, count, problem) for problem in problems for number in range(count)]
    markers = zip((path for some in paths for path in some), read_markers(storage, folders), strict=True)
    there = {
        path: done
        for path, done in markers
        if done is not None
        and path in sizes
        and sizes[path] == done.counts.get("bytes")
        and done.details.get("collect") == collected
    }
    return _Found(split, paths, there)


def _described(found: _Found) -> RecordFiles:
    """Raises RunFailed, naming them, if some are missing, or if they hold faces of several sizes."""
    if missing := found.missing:
        shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise RunFailed(
            f"{len(missing)} of {sum(map(len, found.paths))} record files of {found.split} are missing, cut short or "
            f"of an earlier collection ({shown}): run the datagen step for them"
        )
    there = found.there
    image_sizes = {int(done.details["image_size"]) for done in there.values()}
    if len(image_sizes) != 1:
        raise RunFailed(
            f"the record files of {found.split} hold faces of {sorted(image_sizes)} pixels; run the datagen step for "
            "all of them with one image size"
        )
    qualities = {done.details.get("jpeg_quality") for done in there.values()}
    paths, *of_faces = found.paths
    return RecordFiles(
        paths,
        tuple(there[path].digest for some in found.paths for path in some),
        image_sizes.pop(),
        sum(there[path].counts["triplets"] for path in paths),
        qualities.pop() if len(qualities) == 1 else None,
        of_faces[0] if of_faces else (),
    )
