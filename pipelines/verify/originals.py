"""Originals in their tar segments against the segments' manifests, and those against the markers of the shards."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from fec import layout
from fec.cores import available_cores
from fec.done import Done
from fec.outcomes import ImageOutcome
from fec.progress import track
from fec.rows import SegmentRow
from fec.segments import originals_digest, precedence
from fec.storage import Storage
from pipelines.verify import stored
from pipelines.verify.findings import Fault, Findings
from pipelines.verify.planned import Planned

_SEGMENT: Final = re.compile(r"images/\w+/(\d+)/(segment-(\d{5}))\.(tar|parquet)")
_COLUMNS: Final = ("image_id", "url", "outcome", "offset", "length", "sha256")
_BLOCK: Final = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Originals:
    """What became of a split's planned images: how many came to which outcome, and the ids of those fetched.

    ``unfinished`` are the shards without a marker; ``complete`` says that there is none, and that every manifest
    could be read.
    """

    outcomes: Counter[str]
    fetched: pa.Array
    unfinished: frozenset[int]
    complete: bool


@dataclass
class _Segment:
    """A segment's path without its ending; ``rows`` and ``sha256`` are its manifest's, None where that is spoiled."""

    base: str
    shard: int
    endings: set[str] = field(default_factory=set)
    rows: pa.Table | None = None
    sha256: str | None = None


def check(storage: Storage, split: str, planned: Planned | None, findings: Findings) -> Originals | None:
    """Read every original of the split back, those that only an earlier plan wanted too; None without a plan."""
    segments = _segments(storage, split)
    findings.add(_read_manifests(storage, segments))
    rows = [(segment, segment.rows) for segment in segments if segment.rows is not None and "tar" in segment.endings]
    with track(f"verify originals of {split}", sum(len(table) for _, table in rows), "images") as progress:
        spoiled = partial(_spoiled_segment, storage)
        for faults, (_, table) in zip(stored.side_by_side(spoiled, rows, available_cores()), rows, strict=True):
            findings.add(faults)
            findings.count("originals", split, len(table) - table["offset"].null_count)
            progress.advance(len(table))
    if planned is None:
        return None
    return _check_shards(storage, split, planned, segments, findings)


def _segments(storage: Storage, split: str) -> list[_Segment]:
    found: dict[str, _Segment] = {}
    for entry in storage.list(f"images/{split}"):
        if match := _SEGMENT.fullmatch(entry.path):
            base = entry.path.rpartition(".")[0]
            found.setdefault(base, _Segment(base, int(match[1]))).endings.add(match[4])
    return list(found.values())


def _read_manifests(storage: Storage, segments: list[_Segment]) -> Iterator[Fault]:
    def read(segment: _Segment) -> pa.Table | Fault | None:
        if "parquet" not in segment.endings:
            return None
        path = f"{segment.base}.parquet"
        digest = stored.sha256(storage, path)
        segment.sha256 = digest if isinstance(digest, str) else None
        return stored.table(storage, path, SegmentRow, _COLUMNS)

    for segment, found in zip(segments, stored.side_by_side(read, segments, stored.readers(storage)), strict=True):
        if isinstance(found, Fault):
            yield found
        elif found is not None:
            segment.rows = found
            if "tar" not in segment.endings:
                lost = len(found) - found["offset"].null_count
                yield Fault(f"{segment.base}.tar", f"missing, and with it {lost:,} originals")


def _spoiled_segment(storage: Storage, segment: tuple[_Segment, pa.Table]) -> list[Fault]:
    """The faults of one tar, which is read from its start to its end."""
    path = f"{segment[0].base}.tar"
    try:
        with storage.local_copy(path) as copy, copy.open("rb") as tar:
            return [Fault(path, what) for what in _spoiled_originals(tar, copy.stat().st_size, segment[1])]
    except OSError as error:
        return [Fault(path, f"cannot be read ({error.strerror or error})")]


def _spoiled_originals(tar: BinaryIO, size: int, rows: pa.Table) -> Iterator[str]:
    end = 0
    fetched = rows.filter(pc.equal(rows["outcome"], ImageOutcome.FETCHED)).sort_by("offset").to_pylist()
    for number, row in enumerate(fetched):
        offset, length, url = row["offset"], row["length"], row["url"]
        after = len(fetched) - number - 1
        from_here = url + (f" and {after:,} originals after it" if after else "")
        if offset is None or length is None or offset != end + _BLOCK or length < 0:
            yield f"{from_here} cannot lie where the manifest says: {length} bytes at {offset}, after {end:,}"
            return
        end = offset + length + -length % _BLOCK
        if end > size:
            yield f"cut off at {size:,} bytes, and with it {from_here}"
            return
        if not _is_header_of(tar.read(_BLOCK), row["image_id"], length):
            yield f"the header of {url} at {offset - _BLOCK} is spoiled"
        if hashlib.sha256(tar.read(length)).hexdigest() != row["sha256"]:
            yield f"the bytes of {url} at {offset} are not those that were stored"
        if any(tar.read(end - offset - length)):
            yield f"what lies between {url} and the next original, at {offset + length}, is spoiled"
    if size != end + 2 * _BLOCK or any(tar.read()):
        yield f"does not end as a tar should: {size:,} bytes where the manifest needs {end + 2 * _BLOCK:,}"


def _is_header_of(block: bytes, image_id: str, length: int) -> bool:
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.TarError, UnicodeDecodeError):
        return False
    return member.name.partition(".")[0] == image_id and member.size == length


def _check_shards(
    storage: Storage, split: str, planned: Planned, segments: list[_Segment], findings: Findings
) -> Originals:
    """The manifests of each finished shard against its marker and the plan."""
    by_shard: dict[int, list[_Segment]] = {shard: [] for shard in range(planned.num_shards)}
    for segment in segments:
        by_shard.setdefault(segment.shard, []).append(segment)

    def read(shard: int) -> Done | Fault | None:
        return stored.marker(storage, layout.images_dir(split, shard), "download", ("images", "transient"))

    outcomes, fetched = Counter[str](), []
    unfinished = set()
    complete = 0
    shards = range(planned.num_shards)
    for shard, done in zip(shards, stored.side_by_side(read, shards, stored.readers(storage)), strict=True):
        if done is None:
            unfinished.add(shard)
            continue
        if isinstance(done, Fault):
            findings.add([done])
            continue
        findings.add(_other_manifests(layout.images_dir(split, shard), done, by_shard[shard]))
        spoiled = [segment for segment in by_shard[shard] if segment.rows is None]
        findings.add(Fault(f"{s.base}.tar", "no manifest beside it") for s in spoiled if "parquet" not in s.endings)
        if planned.images is None or any("parquet" in segment.endings for segment in spoiled):
            continue
        wanted = planned.images.filter(pc.equal(planned.images["shard"], shard))["image_id"].to_pylist()
        named = done.details.get("manifests")
        counted = [
            segment.rows
            for segment in by_shard[shard]
            if segment.rows is not None
            and (not isinstance(named, dict) or f"{segment.base.rpartition('/')[2]}.parquet" in named)
        ]
        known = _known(counted)
        findings.add(_of_another_run(layout.images_dir(split, shard), done, wanted, known))
        outcomes.update(known[image][0] for image in wanted if image in known)
        fetched += [image for image in wanted if image in known and known[image][0] == ImageOutcome.FETCHED]
        complete += 1
    findings.progress(split, "originals", planned.num_shards - len(unfinished), planned.num_shards)
    fetched_ids = pa.array(fetched, pa.string())
    return Originals(outcomes, fetched_ids, frozenset(unfinished), complete == planned.num_shards)


def _other_manifests(directory: str, done: Done, segments: list[_Segment]) -> Iterator[Fault]:
    """Manifests that are missing or not those the marker was written for; others may have come since."""
    there = {segment.base: segment.sha256 for segment in segments if "parquet" in segment.endings}
    named = done.details.get("manifests")
    for name, digest in named.items() if isinstance(named, dict) else ():
        path = f"{directory}/{name}"
        found = there.get(path.removesuffix(".parquet"), "")
        if found == "":
            yield Fault(path, "missing, though the marker beside it names it")
        elif found != digest:
            yield Fault(path, "spoiled, or of another run than the marker beside it")


def _known(manifests: list[pa.Table]) -> dict[str, tuple[str, str | None]]:
    """Outcome and SHA-256 of each image; of several rows for one image, the one that counts."""
    known: dict[str, tuple[str, str | None]] = {}
    for table in manifests:
        columns = (table[name].to_pylist() for name in ("image_id", "outcome", "sha256"))
        for image, outcome, sha256 in zip(*columns, strict=True):
            before = known.get(image)
            if before is None or _precedence(outcome) >= _precedence(before[0]):
                known[image] = (outcome, sha256)
    return known


def _precedence(outcome: str) -> int:
    return precedence(ImageOutcome(outcome)) if outcome in set(ImageOutcome) else -1


def _of_another_run(
    directory: str, done: Done, wanted: list[str], known: dict[str, tuple[str, str | None]]
) -> Iterator[Fault]:
    untried = [image for image in wanted if image not in known]
    if untried:
        yield Fault(directory, f"no manifest has the planned images {stored.some(untried)} ({len(untried):,} in all)")
        return
    strange = sorted({known[image][0] for image in wanted} - set(ImageOutcome))
    if strange:
        yield Fault(directory, f"a manifest has outcomes that do not exist: {stored.some(strange)}")
        return
    images = [(image, ImageOutcome(known[image][0]), known[image][1]) for image in sorted(wanted)]
    counts = Counter(str(outcome) for _, outcome, _ in images)
    said = {name: number for name, number in done.counts.items() if name in set(ImageOutcome)}
    if done.counts["images"] != len(wanted) or said != dict(counts):
        yield Fault(
            f"{directory}/{layout.DONE}", f"counts {said} where the manifests have {dict(sorted(counts.items()))}"
        )
    elif originals_digest(images) != done.digest:
        yield Fault(directory, "the segments' manifests are spoiled, or of another run than the marker")
