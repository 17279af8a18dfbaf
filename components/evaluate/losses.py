"""What was lost where: by host, by reason with examples, and what would bring back how many triplets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec import layout, tables
from fec.layout import SPLITS
from fec.outcomes import IMAGE_OUTCOMES, IN_ARCHIVES, FaceOutcome, ImageOutcome, Kind
from fec.rows import FACE_COLUMNS
from fec.storage import Storage
from fec.whole_split import planned_images, tried_images, verified_faces

SHOWN_HOSTS: Final = 12
SHOWN_EXAMPLES: Final = 3
# Details, URLs and hosts come from the network, and may be long.
MAX_TEXT: Final = 160
FETCHED: Final = "fetched"
# What a web archive may bring back; the other causes are the names of options, and "later".
ARCHIVE: Final = "archive"
# The classes in which a host's pictures are drawn, in order.
CLASSES: Final = (FETCHED, str(Kind.FINAL), str(Kind.OURS), str(Kind.TRANSIENT), str(Kind.NOT_ASKED))
_CLASS: Final = {
    str(outcome): FETCHED if outcome is ImageOutcome.FETCHED else str(meaning.kind)
    for outcome, meaning in IMAGE_OUTCOMES.items()
}
# What was found in a crop, where nobody was to blame for the picture.
_FACE_EXAMPLES: Final = tuple(str(outcome) for outcome in FaceOutcome if outcome not in ("ok", "no_image"))


@dataclass(frozen=True)
class Lists:
    """The plan of a split with what became of it: ``images`` (``fec.whole_split.planned_images``), ``faces`` with
    face_id, image_id, outcome and detail, and for each triplet with a consensus the rows of its ``faces`` there,
    int32 [n, 3], -1 for a face that is not verified yet."""

    images: pa.Table
    faces: pa.Table
    triplets: NDArray[np.int32]


@dataclass(frozen=True)
class HostLosses:
    """A host key (the last of them: all others): its images by CLASSES, and its most frequent loss."""

    name: str
    images: int
    by_class: Mapping[str, int]
    worst: str

    @property
    def fetched(self) -> float:
        return self.by_class[FETCHED] / self.images


@dataclass(frozen=True)
class Example:
    """A loss: of which outcome, the URL, the last answer's status where there was one, and what was seen."""

    outcome: str
    url: str
    status: str
    seen: str


@dataclass(frozen=True)
class Remedy:
    """What would bring back up to so many images, faces and triplets (those that miss nothing else)."""

    cause: str
    outcomes: tuple[str, ...]
    images: int
    faces: int
    triplets: int


def read_lists(storage: Storage) -> dict[str, Lists]:
    """The lists of both splits."""
    tried = tried_images(storage)
    return {split: _lists(storage, split, tried) for split in SPLITS}


def hosts(lists: Mapping[str, Lists]) -> list[HostLosses]:
    """The SHOWN_HOSTS host keys with most images, of both splits together, and all others as one."""
    columns = ["host_key", "outcome"]
    images = pa.concat_tables([one.images.select(columns) for one in lists.values()])
    counted = images.group_by(columns).aggregate([([], "count_all")]).to_pylist()
    of_host: dict[str, dict[str, int]] = {}
    for row in counted:
        of_host.setdefault(row["host_key"], {})[row["outcome"]] = row["count_all"]
    ranked = sorted(of_host, key=lambda name: (-sum(of_host[name].values()), name))
    found = [_host(name, of_host[name]) for name in ranked[:SHOWN_HOSTS]]
    others: dict[str, int] = {}
    for name in ranked[SHOWN_HOSTS:]:
        for outcome, count in of_host[name].items():
            others[outcome] = others.get(outcome, 0) + count
    rest = len(ranked) - SHOWN_HOSTS
    return [*found, _host(f"{rest:,} other hosts", others)] if others else found


def examples(lists: Mapping[str, Lists]) -> dict[str, list[Example]]:
    """Up to SHOWN_EXAMPLES of each outcome that is a loss, of the images first; the ids are hashes, so the first of
    them are a fair sample."""
    found: dict[str, list[Example]] = {}
    for one in lists.values():
        for outcome in sorted(set(pc.unique(one.images["outcome"]).to_pylist()) - {FETCHED}):
            rows = one.images.filter(pc.equal(one.images["outcome"], outcome)).slice(0, SHOWN_EXAMPLES)
            found.setdefault(outcome, []).extend(_of_image(row) for row in rows.to_pylist())
    for one in lists.values():
        for outcome in _FACE_EXAMPLES:
            rows = one.faces.filter(pc.equal(one.faces["outcome"], outcome)).slice(0, SHOWN_EXAMPLES)
            if len(rows):
                urls = one.images["url"].take(pc.index_in(rows["image_id"], value_set=one.images["image_id"]))
                pairs = zip(rows["detail"].to_pylist(), urls.to_pylist(), strict=True)
                seen = [Example(outcome, bounded(url or ""), "", bounded(detail)) for detail, url in pairs]
                found.setdefault(outcome, []).extend(seen)
    return {outcome: some[:SHOWN_EXAMPLES] for outcome, some in found.items()}


def remedies(lists: Mapping[str, Lists]) -> list[Remedy]:
    """What could be brought back by what: a later run, another option, a web archive that nobody has asked, another
    threshold; the largest first.

    Of a picture nobody has seen nobody knows whether its faces would be verified: the numbers are the most there
    could be.
    """
    causes: dict[str, list[str]] = {}
    for outcome, meaning in IMAGE_OUTCOMES.items():
        cause = "later" if outcome.transient else meaning.depends_on
        if cause:
            causes.setdefault(cause, []).append(str(outcome))
    causes[ARCHIVE] = sorted(IN_ARCHIVES)
    found = [_remedy(cause, tuple(outcomes), lists, of_images=True) for cause, outcomes in causes.items()]
    found.append(_remedy("min_confidence", (str(FaceOutcome.LOW_CONFIDENCE),), lists, of_images=False))
    return sorted((one for one in found if one.images or one.faces), key=lambda one: (-one.triplets, -one.faces))


def bounded(text: str) -> str:
    """Text from outside, short enough to be shown."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _lists(storage: Storage, split: str, tried: pa.Table) -> Lists:
    images = planned_images(storage, split, tried)
    faces = verified_faces(storage, split, ["face_id", "image_id", "outcome", "detail"]).sort_by("face_id")
    ids = faces["face_id"].combine_chunks()
    parts = [np.empty((0, 3), np.int32)]
    path = f"{layout.plan_dir(split)}/triplets.parquet"
    for batch in tables.read_batches(storage, path, [*FACE_COLUMNS, "odd_one_out"]):
        agreed = batch.filter(pc.is_valid(batch["odd_one_out"]))
        rows = [pc.fill_null(pc.index_in(agreed[column], value_set=ids), -1).to_numpy() for column in FACE_COLUMNS]
        parts.append(np.stack(rows, axis=1).astype(np.int32))
    return Lists(images, faces, np.concatenate(parts))


def _host(name: str, outcomes: Mapping[str, int]) -> HostLosses:
    by_class = dict.fromkeys(CLASSES, 0)
    for outcome, count in outcomes.items():
        by_class[_CLASS[outcome]] += count
    losses = {outcome: count for outcome, count in outcomes.items() if outcome != FETCHED}
    worst = max(losses, key=lambda outcome: (losses[outcome], outcome)) if losses else ""
    return HostLosses(bounded(name), sum(outcomes.values()), by_class, worst)


def _of_image(row: Mapping[str, Any]) -> Example:
    seen = [row["detail"] or ""]
    if row["final_url"] and row["final_url"] != row["url"]:
        seen.append(f"sent on to {row['final_url']}")
    if row["archive"]:
        seen.append(f"in the archive: {row['archive_outcome']}")
    status = "" if row["http_status"] is None else str(row["http_status"])
    return Example(row["outcome"], bounded(row["url"]), status, bounded("; ".join(filter(None, seen))))


def _remedy(cause: str, outcomes: Sequence[str], lists: Mapping[str, Lists], *, of_images: bool) -> Remedy:
    column = "images" if of_images else "faces"
    there = {value for one in lists.values() for value in pc.unique(getattr(one, column)["outcome"]).to_pylist()}
    outcomes = [outcome for outcome in outcomes if outcome in there]
    wanted = pa.array(outcomes, pa.string())
    images = faces = triplets = 0
    for one in lists.values():
        good = pc.equal(one.faces["outcome"], str(FaceOutcome.OK)).to_numpy()
        if of_images:
            lost = pc.is_in(one.images["outcome"], value_set=wanted)
            if cause == ARCHIVE:
                lost = pc.and_(lost, pc.is_null(one.images["archive"]))
            back = one.images.filter(lost)["image_id"]
            images += len(back)
            helped = pc.is_in(one.faces["image_id"], value_set=back).to_numpy() & ~good
        else:
            helped = pc.is_in(one.faces["outcome"], value_set=wanted).to_numpy()
        faces += int(helped.sum())
        # A row of its own for the faces that are not verified: row -1.
        whole, new = np.append(good | helped, False)[one.triplets], np.append(helped, False)[one.triplets]
        triplets += int((whole.all(axis=1) & new.any(axis=1)).sum())
    return Remedy(cause, tuple(outcomes), images, faces, triplets)
