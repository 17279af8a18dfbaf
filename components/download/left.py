"""What a run leaves undone, and what would bring it back: one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from components.download.archive import looks
from components.download.ours import helps
from components.download.parameters import Parameters
from components.download.shards import due, outcomes
from fec.done import Done
from fec.outcomes import ImageOutcome, Kind
from fec.progress import event


def say_what_is_left(parameters: Parameters, markers: Iterable[Done]) -> None:
    """One line on the images of finished shards that could still be had, and how; nothing if there are none."""
    finished = list(markers)
    counts = Counter[ImageOutcome]()
    for done in finished:
        for outcome, _, count in outcomes(done):
            counts[outcome] += count
    passing = {outcome: count for outcome, count in counts.items() if outcome.transient}
    ours = {outcome: count for outcome, count in counts.items() if outcome.kind is Kind.OURS}
    said = []
    if passing:
        until = max(due(done, parameters) for done in finished if done.counts.get("transient", 0))
        said.append(
            f"{_counted(passing)} by a run after {until:%Y-%m-%d %H:%M} UTC, or at once with --retry-transient-after 0"
        )
    for outcome, count in sorted(ours.items()):
        said.append(f"{count:,} {outcome} by {helps(outcome, parameters)}")
    waiting = sum(_waiting(done, parameters) for done in finished)
    if waiting:
        until = max(due(done, parameters) for done in finished if _waiting(done, parameters))
        said.append(f"{waiting:,} from the archive, which had trouble, by a run after {until:%Y-%m-%d %H:%M} UTC")
    if said:
        total = sum(passing.values()) + sum(ours.values()) + waiting
        event(
            "transient_left",
            f"{total:,} images of {parameters.split} could come back: {'; '.join(said)}",
            images=total,
            outcomes={str(outcome): count for outcome, count in sorted((passing | ours).items())},
        )


def _waiting(done: Done, parameters: Parameters) -> int:
    """How many images of a finished shard the archive could not be asked for, for a cause that passes."""
    return sum(count for look, count in looks(done) if parameters.archive and look.waits(parameters))


def _counted(counts: dict[ImageOutcome, int]) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
