"""A stretch of the annotations taken apart as a whole comes to what its rows come to one by one."""

import io
import random

import pytest

from fec import annotation_blocks
from fec.annotation_blocks import Block, blocks_of
from fec.annotation_faces import Faces
from fec.annotation_trust import Malformed
from fec.annotations import MAX_LINE_BYTES, Triplet, TripletType, read_rows


def face(number: int) -> str:
    return f'"http://h{number % 7}.example/é{number}.jpg",0.{number % 50:02},0.9,{"-0.0" if number % 3 else 0},1.01'


def row(number: int, tail: str = "ONE_CLASS_TRIPLET,a,1,b,2") -> str:
    return f"{face(number)},{face(number + 1)},{face(number + 2)},{tail}"


ROWS = [
    row(number, "TWO_CLASS_TRIPLET,9,3" if number % 4 else "THREE_CLASS_TRIPLET,9,3,8,1,x,2") for number in range(9)
]
ODD = {
    "a blank line": "",
    "a word": "what",
    "a vote that is none": row(1, "ONE_CLASS_TRIPLET,a,4"),
    "no votes": row(1, "ONE_CLASS_TRIPLET"),
    "half a vote": row(1, "ONE_CLASS_TRIPLET,a"),
    "another type": row(1, "NO_CLASS_TRIPLET,a,1"),
    "a vote of 1.0": row(1, "ONE_CLASS_TRIPLET,a,1.0"),
    "empty fields behind": row(1) + ",,,",
    "spaces around": f" {row(1)} \t",
    "spaces between": row(1).replace(",", ", "),
    "spaces in a quote": row(1).replace('"http', '" http'),
    "no quotes": row(1).replace('"', ""),
    "a line break of another system": row(1) + "\r",
    "a face twice": f"{face(1)},{face(1)},{face(2)},ONE_CLASS_TRIPLET,a,1",
    "a picture twice": f"{face(1)},{face(1).replace('0.9', '0.8')},{face(2)},ONE_CLASS_TRIPLET,a,1",
    "a box that is none": row(1).replace("0.9", "nan", 1),
    "a box far off the picture": row(1).replace("0.9", "1.9", 1),
    "an empty URL": f'"",0,1,0,1,{face(1)},{face(2)},ONE_CLASS_TRIPLET,a,1',
    "a quote that stays open": row(1)[:-4] + '"',
    "a control character": row(1).replace("http", "ht\x01tp", 1),
    "a long URL": row(1).replace("example", "e" * 3000, 1),
    "a URL that is too long": row(1).replace("example", "e" * 9000, 1),
    "a line that is too long": row(1) + "," + "x" * (2 * MAX_LINE_BYTES),
    "a mark of byte order": "\ufeff" + row(1),
}


def rows_of_block(block: Block, faces: Faces) -> list[Triplet]:
    found, at = [], 0
    named = list(faces.urls)
    for number, (line, kind, raters) in enumerate(zip(block.lines, block.types, block.raters, strict=True)):
        three, said = slice(3 * number, 3 * number + 3), slice(at, at + raters)
        a, b, c = block.faces[three]
        votes, names = tuple(block.votes[said]), tuple(block.annotators[said])
        urls = named[faces.image_of[a]], named[faces.image_of[b]], named[faces.image_of[c]]
        boxes = faces.box(a), faces.box(b), faces.box(c)
        found.append(Triplet(line, urls, boxes, TripletType(kind), votes, names))
        at += raters
    assert (at, at) == (len(block.votes), len(block.annotators))
    return found


def read(content: bytes) -> tuple[list[Triplet | Malformed], int]:
    """The rows, and how many boxes were cut."""
    rows: list[Triplet | Malformed] = []
    clipped = 0
    faces = Faces()
    for found in blocks_of(io.BytesIO(content), faces):
        rows += [found] if isinstance(found, Malformed) else rows_of_block(found, faces)
        clipped += 0 if isinstance(found, Malformed) else found.clipped
    return rows, clipped


def expected(content: bytes) -> tuple[list[Triplet | Malformed], int]:
    rows = list(read_rows(io.BytesIO(content)))
    clipped = sum(one.clipped for one in rows if isinstance(one, Triplet))
    return [one._replace(clipped=0) if isinstance(one, Triplet) else one for one in rows], clipped


@pytest.mark.parametrize("stretch", [100, 700, 1 << 17])
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", [0, 4, 9])
def test_whatever_stands_between_the_rows(odd: str, place: int, stretch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotation_blocks, "_STRETCH", stretch)
    content = "\n".join([*ROWS[:place], ODD[odd], *ROWS[place:]]).encode()
    assert read(content) == expected(content)
    assert read(content + b"\n") == expected(content + b"\n")


def test_bytes_that_are_no_text() -> None:
    content = "\n".join(ROWS).encode().replace("é".encode(), b"\xff", 1)
    assert read(content) == expected(content)


def test_published_rows_come_many_at_a_time() -> None:
    (block,) = blocks_of(io.BytesIO(("\n".join(ROWS) + "\n").encode()), Faces())
    assert isinstance(block, Block)
    assert block.rows == len(ROWS)


def test_quotes_and_breaks_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    monkeypatch.setattr(annotation_blocks, "_STRETCH", 900)
    for _ in range(60):
        content = bytearray("\n".join(ROWS).encode())
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(len(content))] = draw.choice(b'"\n\r ,\x00x1')
        assert read(bytes(content)) == expected(bytes(content))


def test_there_is_no_edge_of_minus_zero() -> None:
    row = ROWS[1].replace("0.01,0.9,-0.0,", "-0.0,0.9,-0.0,")
    ((found,), _) = expected(row.encode())
    assert isinstance(found, Triplet)
    assert "-" not in repr(found.boxes)


def test_a_face_has_one_number_however_it_is_written() -> None:
    content = "\n".join([ROWS[1], ROWS[1].replace(",0.9,", ",0.90,"), f" {ROWS[1]}"]).encode()
    known = Faces()
    blocks = [block for block in blocks_of(io.BytesIO(content), known) if isinstance(block, Block)]
    assert [face for block in blocks for face in block.faces] == 3 * [0, 1, 2]
    assert (len(known), len(known.urls)) == (3, 3)


@pytest.mark.parametrize("odd", ["a face twice", "a box that is none", "a vote that is none", "no quotes"])
def test_faces_that_no_triplet_uses_are_not_known(odd: str) -> None:
    strange = ODD[odd].replace("/é1.jpg", "/x.jpg").replace("/é2.jpg", "/y.jpg").replace("/é3.jpg", "/z.jpg")
    known = Faces()
    blocks = list(blocks_of(io.BytesIO("\n".join([ROWS[0], strange, *ROWS[4:]]).encode()), known))
    used = [face for block in blocks if isinstance(block, Block) for face in block.faces]
    assert len(set(used)) == len(known)
    assert list(dict.fromkeys(used)) == list(range(len(known)))
    assert list(known.urls.values()) == list(range(len(known.urls))) == sorted(set(known.image_of))
