"""Originals as fetched, packed in segments: a tar with the bytes and a Parquet manifest with a row an image tried.

A segment exists once its manifest does. Both are put under a number nobody has taken, never over
something else, so two tasks that were started on one shard by mistake cannot spoil each other's work.

The order of a seal is tar, manifest, journal cleared. A kill between any two of them leaves what the next
SegmentWriter finishes: it finds its own bytes by comparing, and goes on behind them.
"""

from fec.rows import Tried
from fec.segments.orphans import adopt_orphans
from fec.segments.reading import (
    StoredImage,
    manifest_digests,
    manifests,
    original,
    originals_digest,
    precedence,
    read_original,
    stored_images,
)
from fec.segments.telling import Ids, Told, places_among, sorted_ids, told
from fec.segments.writing import SEGMENT_BYTES, SegmentWriter, seal_unfinished

__all__ = [
    "SEGMENT_BYTES",
    "Ids",
    "SegmentWriter",
    "StoredImage",
    "Told",
    "Tried",
    "adopt_orphans",
    "manifest_digests",
    "manifests",
    "original",
    "originals_digest",
    "places_among",
    "precedence",
    "read_original",
    "seal_unfinished",
    "sorted_ids",
    "stored_images",
    "told",
]
