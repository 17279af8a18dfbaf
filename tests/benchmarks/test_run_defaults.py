"""What HOG + LDA is told is about the very faces that the lists name."""

from __future__ import annotations

from pathlib import Path

from benchmarks.drawn_faces import Regime, write_faces
from benchmarks.run_defaults import expressions_of, people_of, write_csvs
from fec import identity
from fec.annotations import Triplet, read_rows
from fec.layout import EVAL, TRAIN
from pipelines.demo.scenario import scenario
from pipelines.demo.site import Site

ORIGIN = "http://127.0.0.1:9"


def triplets_of(path: Path) -> list[tuple[Triplet, list[str]]]:
    """The triplets of a list, which holds nothing else, with the ids of their faces."""
    found = []
    with path.open("rb") as file:
        for row in read_rows(file):
            assert isinstance(row, Triplet)
            found.append((row, [identity.face_id(url, box) for url, box in zip(row.urls, row.boxes, strict=True)]))
    return found


def test_the_odd_face_of_the_drawn_list_has_another_label_than_the_two_others(tmp_path: Path) -> None:
    write_faces(tmp_path / "faces", Regime(people=12, pictures=5, noise=6, jitter=0.4, mislabelled=0.0))
    lists = write_csvs(tmp_path, tmp_path / "faces", ORIGIN, 0, {TRAIN: 20, EVAL: 4})
    labels = expressions_of(tmp_path / "faces", ORIGIN)
    people = []
    for split, count in ((TRAIN, 20), (EVAL, 4)):
        triplets = triplets_of(lists[split])
        assert len(triplets) == count
        people.append({url.rpartition("/")[2].partition("_")[0] for triplet, _ in triplets for url in triplet.urls})
        for triplet, faces in triplets:
            odd = labels[faces.pop(triplet.votes[0] - 1)]
            assert labels[faces[0]] == labels[faces[1]] != odd
    assert not people[0] & people[1]


def test_of_the_demo_s_list_it_is_told_who_is_on_each_face(tmp_path: Path) -> None:
    site = Site(
        scenario(portraits=9, train_triplets=12, eval_triplets=6), tuple(f"{ORIGIN}{host}" for host in range(6))
    )
    people = people_of(site)
    for path in site.write_csvs(tmp_path).values():
        for triplet, faces in triplets_of(path):
            odd = people.get(faces.pop(max((1, 2, 3), key=triplet.votes.count) - 1))
            assert people[faces[0]] == people[faces[1]] != odd
