"""What verifying came to, for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fec.layout import EVAL, SPLITS, TRAIN
from pipelines.verify.findings import Fault, Findings

# What to do about a fault, by the start of its path.
_MENDED: Final = {
    "plan": "plan: delete the _DONE.json of the folder, and it is planned again",
    "images": "originals: delete the segment's .tar and .parquet and the _DONE.json beside them, and its images are "
    "fetched again",
    "collect": "collected triplets: delete the _DONE.json of the folder, and they are collected again",
    "records": "records: delete the file, and it is written again if it is one of the run's",
    "": "crops: delete the _DONE.json of the folder, and its crops are cut again",
}


def as_text(findings: Findings) -> str:
    """Faults first, then what was checked, what is not there, and the sum of it."""
    return "\n".join(_lines(findings))


def as_json(findings: Findings, root: str, seconds: float) -> dict[str, Any]:
    """The object that ``fec verify --json`` ends with."""
    shared = findings.shared
    return {
        "root": root,
        "faults": [{"path": fault.path, "what": fault.what} for fault in findings.faults],
        "checked": {what: dict(by_split) for what, by_split in findings.checked.items()},
        "shared": None if shared is None else dict(vars(shared)),
        "unfinished": [dict(vars(step)) for step in findings.unfinished],
        "absent": list(findings.absent),
        "seconds": round(seconds, 3),
    }


def _lines(findings: Findings) -> Iterator[str]:
    for fault in findings.faults:
        yield _printable(str(fault))
    if findings.faults:
        yield from ["", "What to do, before the pipeline is run again as before:"]
        yield from (f"  {mend}" for mend in dict.fromkeys(map(_mend, findings.faults)))
        yield ""
    if findings.checked:
        yield f"{'read back':<24}" + "".join(f"{split:>16}" for split in SPLITS)
    for what, by_split in findings.checked.items():
        yield f"{what:<24}" + "".join(f"{by_split.get(split, 0):>16,}" for split in SPLITS)
    if findings.shared is not None:
        shared = findings.shared
        yield (
            f"{TRAIN} and {EVAL} share {shared.photographs:,} photographs, {shared.faces:,} faces, "
            f"{shared.triplets:,} triplets"
        )
    if findings.unfinished:
        yield f"not finished: {', '.join(map(str, findings.unfinished))}"
    if findings.absent:
        yield f"not there: {', '.join(_absent(findings.absent))}"
    count = len(findings.faults)
    yield f"{count or 'no'} fault{'' if count == 1 else 's'}"


def _absent(names: Sequence[str]) -> Iterator[str]:
    """What is in neither split by its name alone."""
    whats = dict.fromkeys(name.rpartition(" of ")[0] for name in names)
    for what in whats:
        of = [f"{what} of {split}" for split in SPLITS if f"{what} of {split}" in names]
        yield from [what] if len(of) == len(SPLITS) else of


def _mend(fault: Fault) -> str:
    return fault.mend or next(mend for start, mend in _MENDED.items() if fault.path.startswith(start))


def _printable(text: str) -> str:
    """``text`` on one line and without terminal control: names of files come from the network."""
    return "".join(c if c.isprintable() else "?" for c in text)
