"""The pictures of faces in record files: each a whole JPEG of the right size, and one for each face."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fec import pixels
from pipelines.verify.findings import Fault

# datagen makes no larger ones.
_MAX_PIXELS: Final = 1024 * 1024


@dataclass(slots=True)
class _Seen:
    """A picture of a face: its hash, where it was first seen, how often, and other pictures of the same face."""

    key: int
    path: str
    record: int
    times: int = 1
    others: list[_Seen] | None = None


class Pictures:
    """The pictures of faces: each a whole JPEG of ``image_size`` pixels (None: of any), and one for each face.

    A face is in ten triplets, so a picture is decoded once. For several threads.
    """

    def __init__(self, image_size: int | None) -> None:
        self._image_size = image_size
        self._known: dict[bytes, _Seen] = {}
        self._wrong: dict[int, str] = {}
        self._lock = threading.Lock()

    def wrong(self, face_id: bytes, picture: bytes, path: str, record: int) -> str:
        """What is wrong with the picture of a face in a record of the file ``path``; empty if nothing is."""
        key = hash(picture)
        if self._is_new(face_id, _Seen(key, path, record)) and (what := self._wrong_jpeg(picture)):
            self._wrong[key] = what
            return what
        return self._wrong.get(key, "")

    def faults(self) -> Iterator[Fault]:
        """Records in which a face has another picture than in most."""
        for face_id, first in self._known.items():
            if first.others is not None:
                usual, *unusual = sorted([first, *first.others], key=lambda seen: (-seen.times, seen.path, seen.record))
                for seen in unusual:
                    yield Fault(
                        seen.path,
                        f"record {seen.record}: the picture of face {shown(face_id)} is another one than in "
                        f"{usual.path} and {usual.times - 1:,} more records",
                    )

    def _is_new(self, face_id: bytes, seen: _Seen) -> bool:
        with self._lock:
            known = self._known.setdefault(face_id, seen)
            if known is seen:
                return True
            for other in (known, *(known.others or ())):
                if other.key == seen.key:
                    other.times += 1
                    return False
            known.others = [*(known.others or ()), seen]
            return True

    def _wrong_jpeg(self, picture: bytes) -> str:
        try:
            found = pixels.decode(picture, _MAX_PIXELS)
        except (pixels.Unreadable, pixels.TooManyPixels) as error:
            return f"a picture that is no whole JPEG ({error})"
        height, width, _ = found.rgb.shape
        if found.format != "JPEG":
            return f"a picture that is no JPEG but {found.format}"
        if self._image_size is not None and (width, height) != (self._image_size, self._image_size):
            return f"a picture of {width}x{height} pixels where its marker says {self._image_size}"
        return ""


def shown(value: bytes) -> str:
    """Hostile bytes, as far as a message shows them."""
    return value[:40].decode("ascii", errors="backslashreplace")
