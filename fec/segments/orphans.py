"""Segments whose task died with its machine's disk: a tar without a manifest."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from fec import layout, tables
from fec.outcomes import ImageOutcome
from fec.progress import event
from fec.rows import SegmentRow
from fec.segments.reading import numbers
from fec.storage import Storage


def adopt_orphans(storage: Storage, split: str, shard: int, named: Callable[[], Mapping[str, str]]) -> None:
    """Give a manifest to segments whose task died with its disk between tar and manifest; ``named`` gives the
    URLs by image id.

    Call it after what is in the journal was sealed: its owner knows more of a segment than the tar does.
    """
    orphans = numbers(storage, split, shard, "tar") - numbers(storage, split, shard, "parquet")
    urls = named() if orphans else {}
    for number in sorted(orphans):
        base = layout.segment(split, shard, number)
        at = datetime.now(UTC)
        rows = []
        try:
            for image_id, offset, data in _members(storage.read(f"{base}.tar")):
                if image_id in urls:
                    rows.append(
                        SegmentRow(
                            image_id,
                            urls[image_id],
                            ImageOutcome.FETCHED,
                            "found in a segment",
                            0,
                            at,
                            offset=offset,
                            length=len(data),
                            sha256=hashlib.sha256(data).hexdigest(),
                        )
                    )
        except tarfile.TarError as error:
            event("spoiled", f"{base}.tar cannot be read ({error}); its images are fetched again", severity="WARNING")
            continue
        storage.write_if_absent(f"{base}.parquet", tables.to_bytes(tables.from_rows(rows, SegmentRow)))


def _members(content: bytes) -> Iterator[tuple[str, int, bytes]]:
    """The image id, offset and bytes of every member of a segment's tar."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield member.name.partition(".")[0], member.offset_data, file.read()
