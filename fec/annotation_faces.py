"""The photographs and the faces that a list of annotations names, each once, in columns."""

from __future__ import annotations

import struct
from array import array
from operator import add, eq
from typing import Final

from fec.annotations import box_in
from fec.boxes import Box

_KEY: Final = struct.Struct("=i4d")


class Faces:
    """The photographs and the faces of a list, numbered in the order in which it first uses them.

    A face is a box in a photograph, the same however the list writes its numbers. ``urls`` has the number of each
    photograph; ``image_of`` is the photograph of each face, and ``edges`` are its left, right, top and bottom.
    """

    def __init__(self) -> None:
        self.urls: dict[str, int] = {}
        self.image_of = array("i")
        self.edges = array("d")
        # By what they are, and by how they are written.
        self._numbers: dict[bytes, int] = {}
        self._written: dict[str, int] = {}
        # As written: those whose box was cut.
        self._cut: set[str] = set()

    def __len__(self) -> int:
        return len(self.image_of)

    def box(self, face: int) -> Box:
        """The box of a face."""
        return Box(*self.edges[4 * face : 4 * face + 4])

    def number(self, url: str, box: Box) -> int:
        """The number of a face, whose box has no edge of -0.0."""
        image = self.urls.setdefault(url, len(self.urls))
        number = self._numbers.setdefault(_KEY.pack(image, *box), len(self.image_of))
        if number == len(self.image_of):
            self.image_of.append(image)
            self.edges.extend(box)
        return number

    def written(self, urls: list[str], boxes: list[str]) -> tuple[list[int], int]:
        """The numbers of faces, three a row, and how many of their boxes were cut.

        ValueError for a box that is none and for a row with a face twice; nothing is known of any of them then.
        """
        texts = list(map(add, urls, boxes))
        numbers = list(map(self._written.get, texts))
        before = self._lengths()
        try:
            found = [
                self._read(urls[place], boxes[place], texts[place]) if number is None else number
                for place, number in enumerate(numbers)
            ]
            if any(any(map(eq, found[a::3], found[b::3])) for a, b in ((0, 1), (1, 2), (0, 2))):
                raise ValueError("two faces of the triplet are the same")
        except ValueError:
            self._forget(*before)
            raise
        return found, sum(map(self._cut.__contains__, texts)) if self._cut else 0

    def _read(self, url: str, box: str, text: str) -> int:
        known = self._written.get(text)
        if known is None:
            edges, cut = box_in(box)
            known = self._written[text] = self.number(url, edges)
            if cut:
                self._cut.add(text)
        return known

    def _lengths(self) -> tuple[int, int, int]:
        return len(self.urls), len(self.image_of), len(self._written)

    def _forget(self, images: int, faces: int, written: int) -> None:
        """Forget what came after there were so many."""
        for known, length in ((self.urls, images), (self._numbers, faces), (self._written, written)):
            while len(known) > length:
                known.popitem()
        del self.image_of[faces:], self.edges[4 * faces :]
