"""Which faces are looked for: what a query string may say, and the condition in SQL that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

PAGE: Final = 60
_SORTS: Final = {
    "id": "face_id, split",
    "unsure": "confidence NULLS LAST, face_id, split",
    "sure": "confidence DESC NULLS LAST, face_id, split",
    "triplets": "triplets DESC, face_id, split",
}
# What a face itself says of each filter; and a triplet, of which a face must have one that says all at once.
_OF_FACES: Final = {
    "split": "split = ?",
    "outcome": "outcome = ?",
    "image": "image_outcome = ?",
    "host": "host = ?",
    "sure_from": "confidence >= ?",
    "sure_to": "confidence <= ?",
}
_OF_TRIPLETS: Final = {
    "type": "type = ?",
    "agree_from": "agreement >= ?",
    "agree_to": "agreement <= ?",
    "answer": "answer = ?",
}


class Filter(BaseModel):
    """What is looked for; what is None is anything. Raises ValidationError for values out of bounds.

    ``text`` is part of a URL, an id or a detail; ``image`` an image's outcome. ``sure``: the detector's confidence.
    ``agree``: the share of a triplet's votes for its consensus. ``answer``: the model's, on one of the face's triplets.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str = Field("", max_length=500)
    split: Literal["train", "eval"] | None = None
    outcome: str | None = Field(None, max_length=60)
    image: str | None = Field(None, max_length=60)
    host: str | None = Field(None, max_length=300)
    type: int | None = Field(None, ge=1, le=3)
    sure_from: float | None = Field(None, ge=0, le=1)
    sure_to: float | None = Field(None, ge=0, le=1)
    agree_from: float | None = Field(None, ge=0, le=1)
    agree_to: float | None = Field(None, ge=0, le=1)
    answer: Literal["right", "wrong", "tie"] | None = None
    sort: Literal["id", "unsure", "sure", "triplets"] = "id"
    page: int = Field(1, ge=1, le=1_000_000)

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """From a query string's values; an empty one is none, as a form sends it."""
        return cls.model_validate({name: value.strip() for name, value in query.items() if value.strip()})

    def where(self) -> tuple[str, list[Any]]:
        """The condition on the table ``faces``, and its parameters."""
        said = self.model_dump(exclude_none=True)
        parts = [condition for name, condition in _OF_FACES.items() if name in said]
        values = [said[name] for name in _OF_FACES if name in said]
        if self.text:
            parts.append("(contains(lower(url), ?) OR face_id = ? OR image_id = ? OR contains(lower(detail), ?))")
            text = self.text.lower()
            values += [text, text, text, text]
        of_triplets = [condition for name, condition in _OF_TRIPLETS.items() if name in said]
        values += [said[name] for name in _OF_TRIPLETS if name in said]
        if of_triplets:
            condition = " AND ".join(of_triplets)
            # Conditions are ours; what a user says is a parameter.
            of_these = f"SELECT face FROM uses WHERE {condition}"  # noqa: S608
            parts.append(f"row IN ({of_these})")
        return " AND ".join(parts) or "true", values

    @property
    def order(self) -> str:
        """The order, as SQL."""
        return _SORTS[self.sort]

    def at(self, page: int) -> str:
        """The query string of another page of the same."""
        said = self.model_dump(exclude_none=True, exclude_defaults=True) | {"page": page}
        return urlencode(said)
