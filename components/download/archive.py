"""Pictures that their hosts have no more and a web archive may have: which of them are to be looked for there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from components.download.ours import to_be_asked
from components.download.parameters import Parameters
from fec.done import Done
from fec.outcomes import ARCHIVED, IN_ARCHIVES, ImageOutcome

# In a marker: what is known of those that an archive was asked for in vain.
LOOKS: Final = "looks"
COLUMNS: Final = ("outcome", "archive", "archive_outcome")
# Rows that are Python objects of Arrow's at a time.
_ROWS: Final = 1024


@dataclass(frozen=True, order=True)
class Look:
    """What is known of an image that its host has no more: the ``outcome`` there, the template it was looked for under
    ("": it was not), what came of that, and of which option."""

    outcome: str
    archive: str = ""
    archive_outcome: str = ""
    cause: str = ""

    @property
    def host_cause(self) -> str | None:
        """The option that the outcome at its host came of; of one that was looked for, ``cause`` is the archive's."""
        return None if self.archive else self.cause or None

    def is_due(self, parameters: Parameters) -> bool:
        """Whether such an image is looked for now."""
        if not parameters.archive or self.outcome not in IN_ARCHIVES:
            return False
        if self.archive != parameters.archive or self.outcome in parameters.retry:
            return True
        return to_be_asked(ImageOutcome(self.archive_outcome), self.cause or None, parameters)

    def waits(self, parameters: Parameters) -> bool:
        """Whether the archive had trouble that passes when it was asked, so that there is no hurry."""
        return self.archive == parameters.archive and ImageOutcome(self.archive_outcome).transient


def looks_of(rows: pa.Table) -> Iterator[Look]:
    """The same of each of ``rows``, in their order: a table with COLUMNS and ``cause`` of SegmentRow."""
    for batch in rows.select([*COLUMNS, "cause"]).to_batches(max_chunksize=_ROWS):
        for values in zip(*(batch[name].to_pylist() for name in batch.schema.names), strict=True):
            yield Look(*(value or "" for value in values))


def counts(looks: Mapping[Look, int]) -> dict[str, int]:
    """What a marker counts: the images that came from an archive, if any did."""
    came = sum(count for look, count in looks.items() if look.outcome == ImageOutcome.FETCHED)
    return {ARCHIVED: came} if came else {}


def details(looks: Mapping[Look, int]) -> dict[str, list[list[str | int]]]:
    """What a marker keeps of those that an archive was asked for in vain, if any were."""
    vain = [[*vars(look).values(), n] for look, n in sorted(looks.items()) if look.outcome in IN_ARCHIVES]
    return {LOOKS: vain} if vain else {}


def looks(done: Done) -> Iterator[tuple[Look, int]]:
    """What is known of a finished shard's images that their hosts have no more, and of how many of them."""
    left = {outcome: done.counts.get(outcome, 0) for outcome in sorted(IN_ARCHIVES)}
    for *said, count in done.details.get(LOOKS, []):
        look = Look(*said)
        left[ImageOutcome(look.outcome)] -= count
        yield look, count
    for outcome, count in left.items():
        if count:
            yield Look(outcome), count


def has_more(done: Done, parameters: Parameters, passed: Callable[[], bool]) -> bool:
    """Whether a finished shard has images to look for now; ``passed()``: what was passing trouble may be over."""
    due = (look for look, _ in looks(done) if look.is_due(parameters))
    return any(not look.waits(parameters) or passed() for look in due)
