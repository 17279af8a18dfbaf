"""What is found: held against the rows of the root, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from fec import layout, tables
from fec.errors import ConfigurationError
from fec.outcomes import FaceOutcome
from fec.rows import PlannedImage, PlannedTriplet, VerifiedFace
from fec.storage import Storage, open_storage
from pipelines.browse import index as index_module
from pipelines.browse.boxes import Drawn, crop_box, found_box
from pipelines.browse.filters import Filter
from pipelines.browse.index import Index, build
from pipelines.browse.space import Space


class Rows:
    """The root by its own rows."""

    def __init__(self, storage: Storage) -> None:
        self.faces: dict[tuple[str, str], VerifiedFace] = {}
        self.images: dict[tuple[str, str], PlannedImage] = {}
        self.triplets: dict[tuple[str, str], list[PlannedTriplet]] = {}
        for split in layout.SPLITS:
            for shard in range(2):
                path = f"{layout.faces_dir(split, shard)}/{layout.FACES_TABLE}"
                self.faces |= {(split, face.face_id): face for face in tables.read_rows(storage, path, VerifiedFace)}
            path = f"{layout.plan_dir(split)}/images.parquet"
            self.images |= {(split, image.image_id): image for image in tables.read_rows(storage, path, PlannedImage)}
            for triplet in tables.read_rows(storage, f"{layout.plan_dir(split)}/triplets.parquet", PlannedTriplet):
                for face in set(triplet.faces):
                    self.triplets.setdefault((split, face), []).append(triplet)

    def host(self, key: tuple[str, str]) -> str:
        return self.images[key[0], self.faces[key].image_id].host_key

    def url(self, key: tuple[str, str]) -> str:
        return self.images[key[0], self.faces[key].image_id].url


@pytest.fixture(scope="module")
def rows(storage: Storage) -> Rows:
    return Rows(storage)


def agreement(triplet: PlannedTriplet) -> float:
    return triplet.votes.count(triplet.odd_one_out or 0) / len(triplet.votes) if triplet.odd_one_out else -1.0


Key = tuple[str, str]
CASES: dict[str, tuple[dict[str, str], Callable[[Rows, Key], bool]]] = {
    "all": ({}, lambda rows, key: True),
    "split": ({"split": "eval"}, lambda rows, key: key[0] == "eval"),
    "outcome": ({"outcome": "no_face"}, lambda rows, key: rows.faces[key].outcome == "no_face"),
    "host": ({"host": "127.0.0.1"}, lambda rows, key: rows.host(key) == "127.0.0.1"),
    "confidence": (
        {"sure_from": "0.9", "sure_to": "0.93"},
        lambda rows, key: 0.9 <= round(rows.faces[key].confidence or 0, 6) <= 0.93,
    ),
    "type": ({"type": "2"}, lambda rows, key: any(t.type == 2 for t in rows.triplets.get(key, []))),
    "type and agreement of one triplet": (
        {"type": "1", "agree_from": "1"},
        lambda rows, key: any(t.type == 1 and agreement(t) == 1 for t in rows.triplets.get(key, [])),
    ),
    "part of a URL": ({"text": "/TRAIN/0/000"}, lambda rows, key: "/train/0/000" in rows.url(key)),
    "nothing": ({"text": "no such text"}, lambda rows, key: False),
    "SQL is text": ({"text": "' OR 1=1 --", "host": "'; DROP TABLE faces"}, lambda rows, key: False),
}


@pytest.mark.parametrize("name", CASES)
def test_a_filter_finds_what_fits(index: Index, rows: Rows, name: str) -> None:
    query, fits = CASES[name]
    expected = {key for key in rows.faces if fits(rows, key)}
    found = index.search(Filter.of(query))
    assert found.total == len(expected)
    pages = [index.search(Filter.of(query | {"page": str(page)})) for page in range(1, found.pages + 1)]
    assert [(face["split"], face["face_id"]) for page in pages for face in page.faces] == sorted(
        expected, key=lambda key: (key[1], key[0])
    )
    assert index.faces == len(rows.faces)


@pytest.mark.parametrize(
    "answer",
    ["right", "wrong"],
)
def test_the_models_answers_are_those_of_its_distances(index: Index, space: Space, rows: Rows, answer: str) -> None:
    expected = set()
    for key, triplets in rows.triplets.items():
        for triplet in triplets:
            places = [space.row_of(key[0], face) for face in triplet.faces]
            there = [place for place in places if place is not None]
            if len(there) == 3 and triplet.odd_one_out:
                ab, ac, bc = space.distances(there)
                odd = 1 + [bc, ac, ab].index(min(ab, ac, bc))
                if (odd == triplet.odd_one_out) is (answer == "right"):
                    expected.add(key)
    assert index.search(Filter.of({"answer": answer})).total == len(expected) > 0


@pytest.mark.parametrize(
    "query",
    [{"page": "0"}, {"sure_from": "2"}, {"split": "test"}, {"type": "x"}, {"sort": "url; --"}, {"text": "x" * 501}],
)
def test_what_makes_no_sense_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Filter.of(query)


def test_least_sure_faces_can_come_first(index: Index) -> None:
    found = index.search(Filter.of({"sort": "unsure", "outcome": "ok"})).faces
    assert [face["confidence"] for face in found] == sorted(face["confidence"] for face in found)


def test_a_faces_triplets_are_all_of_its_split(index: Index, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    key = max(rows.triplets, key=lambda key: len(rows.triplets[key]))
    face = index.face(*key)
    assert face is not None
    found = index.triplets_of(face["row"])
    assert [t["line"] for t in found] == sorted(t.line for t in rows.triplets[key])[: index_module.SHOWN_TRIPLETS]
    lines = {t.line: t for t in rows.triplets[key]}
    for one in found:
        assert (one["a_id"], one["b_id"], one["c_id"]) == lines[one["line"]].faces
        assert list(one["votes"]) == list(lines[one["line"]].votes)
    monkeypatch.setattr(index_module, "SHOWN_TRIPLETS", 2)
    assert index.triplets_of(face["row"]) == found[:2]


def test_a_search_reaches_no_file(index: Index) -> None:
    with pytest.raises(Exception, match="disabled"):
        index.rows("SELECT * FROM read_csv('/etc/passwd')")


def test_a_plan_alone_can_be_looked_at(storage: Storage, tmp_path: Any) -> None:
    bare = open_storage(str(tmp_path / "bare"))
    for entry in storage.list("plan"):
        bare.write(entry.path, storage.read(entry.path))
    found = build(bare, None)
    assert found.offered["outcome"] == [("not_verified_yet", found.faces)]
    assert found.offered["image_outcome"][0][0] == "not_asked"


def test_an_empty_folder_is_no_root(tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="holds no dataset"):
        build(open_storage(str(tmp_path)), None)


def test_boxes_lie_where_they_are_in_the_photograph() -> None:
    seen: dict[str, Any] = {
        "image_width": 200,
        "image_height": 100,
        **{"crop_left": 50, "crop_right": 150, "crop_top": 20, "crop_bottom": 60},
        **{"found_left": 0.5, "found_right": 1.0, "found_top": 0.0, "found_bottom": 0.5},
    }
    face = VerifiedFace("f", "i", FaceOutcome.OK, "", "d", 0.0, 1.0, 0.0, 1.0, **seen)
    assert crop_box(face) == Drawn(250, 200, 500, 400)
    assert found_box(face) == Drawn(500, 200, 250, 200)
    unseen = VerifiedFace("f", "i", FaceOutcome.NO_IMAGE, "", "d", 0.0, 1.0, 0.0, 1.0)
    assert crop_box(unseen) is None
    assert found_box(unseen) is None
