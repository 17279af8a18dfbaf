"""``_DONE.json``: the last thing a step writes, and how the next run knows that it may skip it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from fec import layout
from fec.storage import Storage

# Part of every fingerprint: raise it when a format changes, and everything is made again.
FORMAT_VERSION: Final = 1
# Markers read at a time: a bucket answers one in 50-100 ms.
_READERS: Final = 16


@dataclass(frozen=True)
class Done:
    """What a finished step says of itself.

    ``fingerprint`` covers the step's inputs, parameters and format version (fec.identity.fingerprint);
    ``digest`` covers what it put out, as far as the next step can tell one output from another: it goes
    into the next step's fingerprint. Both are 64 hex digits.
    """

    step: str
    fingerprint: str
    digest: str
    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


def read_done(storage: Storage, directory: str) -> Done | None:
    """The marker of ``directory``, or None if there is none or it is of another format."""
    try:
        value = json.loads(storage.read(f"{directory}/{layout.DONE}"))
        if value.pop("format") != FORMAT_VERSION:
            return None
        return Done(**value)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_markers(storage: Storage, directories: Iterable[str]) -> list[Done | None]:
    """What ``read_done`` gives for each of ``directories``, read side by side."""
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda directory: read_done(storage, directory), directories))


def finished(storage: Storage, directory: str, fingerprint: str) -> Done | None:
    """The marker of ``directory`` if it was written for exactly this ``fingerprint``."""
    done = read_done(storage, directory)
    return done if done is not None and done.fingerprint == fingerprint else None


def write_done(storage: Storage, directory: str, done: Done) -> Done:
    """Mark ``directory`` finished; call it when everything else is in place.

    A marker never outlives what it marks: what was put before is made to survive a loss of power first.
    """
    storage.sync()
    value = {
        "format": FORMAT_VERSION,
        "step": done.step,
        "fingerprint": done.fingerprint,
        "digest": done.digest,
        "counts": dict(done.counts),
        "details": dict(done.details),
    }
    storage.write(f"{directory}/{layout.DONE}", (json.dumps(value, sort_keys=True, indent=1) + "\n").encode())
    return done
