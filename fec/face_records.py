"""The records' second layout: files of faces, each face once, and files of triplets that name their faces by id.

File k of the faces holds what file k of the triplets is the first to need. So a reader that takes in the
files in their order always has a triplet's faces, and may forget a face after its last use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from fec.errors import ConfigurationError
from fec.records import TRIPLET_CODE, TYPE, Readable, SpoiledRecord, decode_example, encode_example, read_frames

FACE_ID: Final = "id"
IMAGE: Final = "image"
IMAGE_ID: Final = "image/id"
SHA256: Final = "sha256"
CONFIDENCE: Final = "confidence"
DETECTOR: Final = "detector"
USES: Final = "uses"

FACE_IDS: Final = "faces"
VOTES: Final = "votes"

Features = Mapping[str, Sequence[bytes] | Sequence[int] | Sequence[float]]


@dataclass(frozen=True, slots=True)
class FaceExample:
    """A face: its JPEG bytes, and what is known of it.

    ``sha256`` is that of the crop it was made from, in hex; ``confidence`` and ``detector`` are how that was
    verified; ``uses`` is the number of triplets that name it.
    """

    face_id: str
    image: bytes
    image_id: str
    sha256: str
    confidence: float
    detector: str
    uses: int

    def encode(self) -> bytes:
        """The serialised ``tf.train.Example``."""
        return encode_example(
            {
                FACE_ID: [self.face_id.encode()],
                IMAGE: [self.image],
                IMAGE_ID: [self.image_id.encode()],
                SHA256: [self.sha256.encode()],
                CONFIDENCE: [float(self.confidence)],
                DETECTOR: [self.detector.encode()],
                USES: [self.uses],
            }
        )


@dataclass(frozen=True, slots=True)
class IdTripletExample:
    """A triplet by the ids of its faces a, b, c; ``votes`` counts those that named a, b and c the odd one out."""

    face_ids: tuple[str, str, str]
    odd_one_out: int
    type: int
    votes: tuple[int, int, int]

    def encode(self) -> bytes:
        """The serialised ``tf.train.Example``."""
        return encode_example(
            {
                FACE_IDS: [face_id.encode() for face_id in self.face_ids],
                TRIPLET_CODE: [self.odd_one_out],
                TYPE: [self.type],
                VOTES: self.votes,
            }
        )


@dataclass(slots=True)
class _Held:
    image: bytes
    uses: int


def read_triplets(
    files: Iterable[tuple[BinaryIO, BinaryIO]], max_faces: int | None = None
) -> Iterator[tuple[IdTripletExample, tuple[bytes, bytes, bytes]]]:
    """Every triplet of ``files`` with the JPEGs of its faces a, b, c.

    ``files`` are pairs, in order: an open file of faces and that of the triplets of the same number. The faces
    that later triplets need are held, and no others; ConfigurationError if those become more than ``max_faces``.
    Raises SpoiledRecord for files that are damaged or do not belong together.
    """
    held: dict[str, _Held] = {}
    for faces, triplets in files:
        for face in map(decode_example, read_frames(faces)):
            held[_texts(face, FACE_ID)[0]] = _Held(_bytes(face, IMAGE)[0], _numbers(face, USES)[0])
        if max_faces is not None and len(held) > max_faces:
            raise ConfigurationError(
                f"{len(held):,} faces have to be held at a time, more than the {max_faces:,} allowed; allow as many as "
                "the markers of the files say (faces_held)"
            )
        for triplet in read_id_triplets(triplets):
            a, b, c = triplet.face_ids
            yield triplet, (_used(held, a), _used(held, b), _used(held, c))


def read_faces(file: Readable) -> Iterator[tuple[str, bytes]]:
    """The id and the JPEG of every face of a file of faces; SpoiledRecord or ValueError for what is none."""
    for face in map(decode_example, read_frames(file)):
        yield _texts(face, FACE_ID)[0], _bytes(face, IMAGE)[0]


def read_id_triplets(file: Readable) -> Iterator[IdTripletExample]:
    """Every triplet of a file of triplets that name their faces; SpoiledRecord or ValueError for what is none."""
    for example in map(decode_example, read_frames(file)):
        a, b, c = _texts(example, FACE_IDS)
        first, second, third = _numbers(example, VOTES)
        (odd,), (kind,) = _numbers(example, TRIPLET_CODE), _numbers(example, TYPE)
        yield IdTripletExample((a, b, c), odd, kind, (first, second, third))


def _used(held: dict[str, _Held], face_id: str) -> bytes:
    """The image of a face, which is forgotten with its last use."""
    if face_id not in held:
        raise SpoiledRecord(f"a triplet names the face {face_id!r}, which no file of faces up to it holds")
    face = held[face_id]
    face.uses -= 1
    if not face.uses:
        del held[face_id]
    return face.image


def _bytes(features: Features, name: str) -> list[bytes]:
    values = [value for value in features.get(name, []) if isinstance(value, bytes)]
    if not values:
        raise SpoiledRecord(f"an example without {name}: not a file of this layout")
    return values


def _texts(features: Features, name: str) -> list[str]:
    return [value.decode(errors="replace") for value in _bytes(features, name)]


def _numbers(features: Features, name: str) -> list[int]:
    values = [value for value in features.get(name, []) if isinstance(value, int)]
    if not values:
        raise SpoiledRecord(f"an example without {name}: not a file of this layout")
    return values
