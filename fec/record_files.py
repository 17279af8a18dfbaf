"""The record files of a split as their markers describe them, all of them or none."""

from __future__ import annotations

from dataclasses import dataclass

from fec import layout
from fec.done import read_done, read_markers
from fec.errors import RunFailed
from fec.presets import preset_named
from fec.storage import Storage


@dataclass(frozen=True)
class RecordFiles:
    """Every record file of a split, in order: paths below the root, and the digests of what is in them.

    ``image_size`` is the side of the square faces in pixels, ``triplets`` the number of examples in all files,
    ``jpeg_quality`` 1..100 that of the faces, where the markers say it.
    """

    paths: tuple[str, ...]
    digests: tuple[str, ...]
    image_size: int
    triplets: int
    jpeg_quality: int | None = None


def record_files(storage: Storage, split: str, problem: str = layout.PROBLEM) -> RecordFiles:
    """The record files that the split's collection asks for, of the preset ``problem``.

    Raises RunFailed, naming them, if some are missing, are not as long as they were written, or are of another
    collection: nobody trains on half of the data, or judges by it, unawares.
    """
    collected = read_done(storage, layout.collect_dir(split))
    if collected is None:
        raise RunFailed(f"{storage.root} has no collected triplets of {split}: run the collect step first")
    count = collected.counts["record_shards"]
    if problem != layout.PROBLEM:
        count = preset_named(problem).record_shards(split, collected.counts["records"], count)
    paths = [layout.record_file(split, number, count, problem) for number in range(count)]
    markers = read_markers(storage, [layout.record_done_dir(split, number, count, problem) for number in range(count)])
    sizes = {entry.path: entry.size for entry in storage.list("records")}
    there = {
        path: done
        for path, done in zip(paths, markers, strict=True)
        if done is not None
        and path in sizes
        and sizes[path] == done.counts.get("bytes")
        and done.details.get("collect") == collected.digest
    }
    if missing := [path for path in paths if path not in there]:
        shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise RunFailed(
            f"{len(missing)} of {count} record files of {split} are missing, cut short or of an earlier collection "
            f"({shown}): run the datagen step for them"
        )
    image_sizes = {int(done.details["image_size"]) for done in there.values()}
    if len(image_sizes) != 1:
        raise RunFailed(
            f"the record files of {split} hold faces of {sorted(image_sizes)} pixels; run the datagen step for all of "
            "them with one image size"
        )
    qualities = {done.details.get("jpeg_quality") for done in there.values()}
    return RecordFiles(
        tuple(paths),
        tuple(there[path].digest for path in paths),
        image_sizes.pop(),
        sum(done.counts["triplets"] for done in there.values()),
        qualities.pop() if len(qualities) == 1 else None,
    )
