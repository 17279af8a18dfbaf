"""The record files of a split: which there should be, which there are, and what their markers say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from fec import layout
from fec.cores import available_cores
from fec.done import Done
from fec.presets import PRESETS
from fec.progress import track
from fec.record_families import Kind, RecordFamily, made_from
from fec.storage import Storage
from pipelines.verify import face_layout, stored
from pipelines.verify.collected import Collection
from pipelines.verify.findings import Fault, Findings
from pipelines.verify.record_content import Context, MarkedFile, read_content

_MARKERS: Final = "records/_done/"
_DETAILS: Final = ("collect", "preset", "image_size", "jpeg_quality", "sha256")


def check(storage: Storage, split: str, collected: Collection | None, findings: Findings) -> None:
    """Read every record file of every preset and layout back."""
    sizes = {entry.path: entry.size for entry in storage.list("records")}
    context = Context(storage, sizes, collected, findings, {})
    families = _families(split, collected, sizes)
    expected = {path for family in families for path in family.paths()}
    findings.add(_strays(families, sizes, expected))
    begun = [family for family in families if any(_is_of(family, path) for path in sizes)]
    findings.absent += [f"{family.problem} records of {split}" for family in families if family not in begun]
    if begun and collected is None:
        directory = layout.collect_dir(split)
        findings.fault(
            "records", f"cannot be held against the triplets of {split}: {directory} is not there, or not whole"
        )
    files = {family: _marked(context, family) for family in begun}
    with track(f"verify records of {split}", sum(map(len, files.values())), "files") as progress:
        read: dict[tuple[str, Kind], face_layout.Files] = {}
        for family, mine in files.items():
            contents = []
            content_of = partial(read_content, context, family)
            for content in stored.side_by_side(content_of, mine, available_cores()):
                findings.add(content.faults)
                findings.count(family.problem, split, content.seen)
                contents.append(content)
                progress.advance()
            complete = len(mine) == family.record_shards and all(content.whole for content in contents)
            tables = [
                (file.path, content.records)
                for file, content in zip(mine, contents, strict=True)
                if content.records is not None
            ]
            read[family.preset, family.kind] = face_layout.Files(family.name, tables, complete)
    for pictures in context.pictures.values():
        findings.add(pictures.faults())
    if collected is not None:
        for family in begun:
            findings.add(_wrong_together(family, collected, read))


def _families(split: str, collected: Collection | None, sizes: Mapping[str, int]) -> list[RecordFamily]:
    """The families of all presets; without a collection, as the names of the files have it."""
    families = []
    for preset in PRESETS.values():
        for kind in Kind:
            if collected is not None:
                records, shards = collected.done.counts["records"], collected.done.counts["record_shards"]
                count, triplets = preset.record_shards(split, records, shards), preset.triplets(split, records)
                families.append(RecordFamily(split, preset.name, kind, count, triplets))
            else:
                family = RecordFamily(split, preset.name, kind, 0, None)
                name = re.compile(rf"records/{family.prefix}-\d{{5}}-of-(\d{{5}})")
                counts = [int(match[1]) for path in sizes if (match := name.fullmatch(path))]
                families.append(replace(family, record_shards=max(counts, default=0)))
    return families


def _is_of(family: RecordFamily, path: str) -> bool:
    return path.removeprefix(_MARKERS if path.startswith(_MARKERS) else "records/").startswith(family.prefix)


def _strays(families: Sequence[RecordFamily], sizes: Mapping[str, int], expected: set[str]) -> Iterator[Fault]:
    """Files that a reader of a whole family takes in though they are none of its files, and markers of no file."""
    for path in sizes:
        for family in families:
            if not _is_of(family, path):
                continue
            if path.startswith(_MARKERS):
                if f"records/{path.split('/')[2]}" not in expected:
                    yield Fault(path, "a marker of no record file")
            elif path not in expected:
                yield Fault(
                    path,
                    f"not one of the {family.record_shards:,} files of {family.prefix}, but who reads {family.prefix}* "
                    "takes it in",
                )


def _marked(context: Context, family: RecordFamily) -> list[MarkedFile]:
    """The family's files that are there, with their markers, which are held against the collection."""
    findings, paths = context.findings, family.paths()

    def read(path: str) -> Done | Fault | None:
        directory = f"{_MARKERS}{path.removeprefix('records/')}"
        if f"{directory}/{layout.DONE}" not in context.sizes:
            return None
        return stored.marker(context.storage, directory, "datagen", (family.counted, "bytes"), _DETAILS)

    files, made_with = [], set()
    finished = 0
    for number, (path, done) in enumerate(
        zip(paths, stored.side_by_side(read, paths, stored.readers(context.storage)), strict=True)
    ):
        there = path in context.sizes
        finished += there and done is not None
        if isinstance(done, Done) and (wrong := _wrong_marker(context, family, number, done)):
            done = Fault(f"{_MARKERS}{path.removeprefix('records/')}/{layout.DONE}", wrong)
        if isinstance(done, Fault):
            findings.add([done])
            done = None
        elif done is not None:
            made_with.add((done.details["image_size"], done.details["jpeg_quality"]))
            if not there:
                findings.fault(path, "missing, though its marker is there")
                finished += 1
        if there:
            files.append(MarkedFile(number, path, done))
    if len(made_with) > 1:
        shown = stored.some(f"{size} pixels at quality {quality}" for size, quality in sorted(made_with))
        findings.fault(family.name, f"hold faces of different sizes or qualities: {shown}")
    findings.progress(family.split, f"{family.problem} records", finished, family.record_shards)
    return files


def _wrong_marker(context: Context, family: RecordFamily, number: int, done: Done) -> str:
    """What is wrong with the marker of the family's file of that number; empty if nothing is."""
    details = done.details
    if not isinstance(details["image_size"], int) or not isinstance(details["jpeg_quality"], int):
        return "not a whole marker of the datagen step"
    if context.collected is None or family.triplets is None:
        return ""
    if details["collect"] != context.collected.done.digest:
        return "of another collection than the one that is there"
    if done.fingerprint != family.fingerprint(number, made_from(details)):
        return "the marker of another file, or of another run"
    return ""


def _wrong_together(
    family: RecordFamily, collected: Collection, read: Mapping[tuple[str, Kind], face_layout.Files]
) -> Iterator[Fault]:
    """What only all files of a family together, or faces and ids together, can show."""
    files = read[family.preset, family.kind]
    wanted = face_layout.Wanted(collected.triplets.slice(0, family.triplets), collected.faces)
    if family.kind is Kind.IDS:
        yield from face_layout.wrong_triplets(files, wanted)
    elif family.kind is Kind.FACES:
        yield from face_layout.wrong_faces(files, wanted)
        ids = read.get((family.preset, Kind.IDS))
        if ids is not None and files.complete and ids.complete:
            yield from face_layout.wrong_order(files, ids, wanted)
