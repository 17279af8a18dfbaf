"""A storage root from the plan to the records, in the order in which the steps made it."""

from __future__ import annotations

from fec import layout
from fec.errors import ConfigurationError
from fec.layout import EVAL, SPLITS, TRAIN
from fec.storage import Storage
from pipelines.verify import collected, crops, originals, planned, record_files, splits
from pipelines.verify.collected import Collection
from pipelines.verify.findings import Findings

# Folders of the steps whose output is read back.
_FOLDERS = ("plan", "images", *SPLITS, "collect", "records")


def verify(storage: Storage) -> Findings:
    """Read everything back that the steps up to datagen have stored below the root; nothing is changed.

    Raises ConfigurationError if there is nothing, and RunFailed where the storage gives no answer.
    """
    if not any(_has(storage, folder) for folder in _FOLDERS):
        raise ConfigurationError(f"root {storage.root!r}: nothing is stored here; name the --root of a run")
    findings = Findings()
    found = {split: _verify_split(storage, split, findings) for split in SPLITS}
    train, evaluation = found[TRAIN], found[EVAL]
    if train is not None and evaluation is not None:
        splits.check(train, evaluation, findings)
    return findings


def _verify_split(storage: Storage, split: str, findings: Findings) -> Collection | None:
    """What collect kept of the split, if that is whole."""
    plan = planned.check(storage, split, findings)
    tried = originals.check(storage, split, plan, findings)
    if plan is None or tried is None:
        later = [folder for folder in (split, layout.collect_dir(split)) if _has(storage, folder)]
        if later:
            findings.fault(
                layout.plan_dir(split), f"without a whole plan, {' and '.join(later)} cannot be held against anything"
            )
        kept = collected.read(storage, split, findings) if later else None
    else:
        verified = crops.check(storage, split, plan, tried, findings)
        kept = collected.check(storage, split, plan, tried, verified, findings)
    record_files.check(storage, split, kept, findings)
    return kept


def _has(storage: Storage, folder: str) -> bool:
    return next(storage.list(folder), None) is not None
