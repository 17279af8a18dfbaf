"""Faces and ids apart: read back together, and told when they do not belong together."""

import io

import pytest

from fec.errors import ConfigurationError
from fec.face_records import FaceExample, IdTripletExample, read_triplets
from fec.records import SpoiledRecord, decode_example, frame


def face(name: str, uses: int) -> bytes:
    return frame(FaceExample(name, name.encode() * 3, "photo", "ab" * 32, 0.5, "yunet", uses).encode())


def triplet(a: str, b: str, c: str) -> bytes:
    return frame(IdTripletExample((a, b, c), 3, 1, (0, 1, 5)).encode())


def opened(*files: tuple[bytes, bytes]) -> list[tuple[io.BytesIO, io.BytesIO]]:
    return [(io.BytesIO(faces), io.BytesIO(triplets)) for faces, triplets in files]


FIRST = (face("a", 2) + face("b", 1) + face("c", 2), triplet("a", "b", "c"))
SECOND = (face("d", 1), triplet("c", "d", "a"))


def test_triplets_come_with_their_faces() -> None:
    assert list(read_triplets(opened(FIRST, SECOND))) == [
        (IdTripletExample(("a", "b", "c"), 3, 1, (0, 1, 5)), (b"aaa", b"bbb", b"ccc")),
        (IdTripletExample(("c", "d", "a"), 3, 1, (0, 1, 5)), (b"ccc", b"ddd", b"aaa")),
    ]


def test_a_face_is_forgotten_with_its_last_use() -> None:
    assert len(list(read_triplets(opened(FIRST, SECOND), max_faces=3))) == 2
    with pytest.raises(ConfigurationError, match="3 faces have to be held"):
        list(read_triplets(opened(FIRST, SECOND), max_faces=2))


def test_files_that_do_not_belong_together_are_told() -> None:
    with pytest.raises(SpoiledRecord, match="the face 'c'"):
        list(read_triplets(opened(SECOND)))


@pytest.mark.parametrize("files", [(FIRST[1], FIRST[1]), (FIRST[0], FIRST[0])])
def test_files_of_another_kind_are_told(files: tuple[bytes, bytes]) -> None:
    with pytest.raises(SpoiledRecord, match="not a file of this layout"):
        list(read_triplets(opened(files)))


def test_votes_of_nobody_are_kept() -> None:
    payload = IdTripletExample(("a", "b", "c"), 1, 2, (6, 0, 0)).encode()
    assert decode_example(payload)["votes"] == [6, 0, 0]
