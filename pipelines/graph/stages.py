"""How far a run on one machine goes: to the end, or to a stage before it."""

from __future__ import annotations

from typing import Final

PLAN: Final = "plan"
CROPS: Final = "crops"
RECORDS: Final = "records"
MODEL: Final = "model"
STAGES: Final = (PLAN, CROPS, RECORDS, MODEL)
