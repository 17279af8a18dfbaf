"""The map and the neighbours: what they show is what the vectors say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from components.evaluate.accuracy import EvalTriplet, answers, distances
from components.evaluate.answered import SHOWN_MISTAKES, margins, mistakes, some_right
from components.evaluate.expressions import MAPPED, NEIGHBOURS, QUERIES, face_map, queries


class Jpegs(dict[str, bytes]):
    """A picture for every face: its own name."""

    def __missing__(self, face: str) -> bytes:
        return face.encode()


def cloud(count: int) -> dict[str, NDArray[np.float64]]:
    vectors = np.random.default_rng(1).normal(size=(count, 4))
    return {f"f{number}": vector / np.linalg.norm(vector) for number, vector in enumerate(vectors)}


@pytest.mark.parametrize("count", [1, 2, 22, 2000])
def test_no_face_of_the_map_lies_over_another(count: int) -> None:
    found = face_map(cloud(count), Jpegs())
    cells = {(one.column, one.row) for one in found.placed}
    assert len(cells) == len(found.placed)
    assert min(count, MAPPED) * 0.6 <= len(cells) <= min(count, MAPPED)
    assert all(0 <= column < found.columns and 0 <= row < found.rows for column, row in cells)
    assert found.of == count


def test_what_is_apart_in_the_embedding_is_apart_on_the_map() -> None:
    two = {f"{side}{n}": np.array([side, n / 1000, 0.0]) for side in (-1.0, 1.0) for n in range(30)}
    found = face_map(two, Jpegs())
    sides = {
        side: [one.column for one in found.placed if one.face.face_id.startswith(side)] for side in ("-1.0", "1.0")
    }
    assert max(sides["-1.0"]) < min(sides["1.0"]) or max(sides["1.0"]) < min(sides["-1.0"])


def test_neighbours_are_the_nearest_of_other_photographs() -> None:
    embeddings = cloud(60)
    photographs = {face: f"p{int(face[1:]) // 2}" for face in embeddings}
    found = queries(embeddings, Jpegs(), photographs)
    assert len(found) == QUERIES
    for query in found:
        here = query.face.face_id
        others = [face for face in embeddings if photographs[face] != photographs[here]]
        expected = sorted(others, key=lambda face: float(np.linalg.norm(embeddings[face] - embeddings[here])))
        assert [face.face_id for face in query.nearest] == expected[:NEIGHBOURS]
        assert query.nearest[0].distance == pytest.approx(np.linalg.norm(embeddings[expected[0]] - embeddings[here]))


def test_a_collapsed_network_has_one_query_at_the_most() -> None:
    embeddings = {f"f{number}": np.ones(4) for number in range(9)}
    assert len(queries(embeddings, Jpegs(), {face: face for face in embeddings})) == 1


def test_nothing_to_show_is_no_error() -> None:
    assert face_map({}, Jpegs()).placed == ()
    assert queries({}, Jpegs(), {}) == []


def line(*places: float) -> tuple[list[EvalTriplet], NDArray[np.float64]]:
    """A triplet a, b, c on a line, whose odd one out is c by the annotators."""
    embeddings = {name: np.array([place]) for name, place in zip("abc", places, strict=True)}
    triplets = [EvalTriplet(("a", "b", "c"), 3, 2, (3, 3, 1))]
    return triplets, distances(triplets, embeddings)


@pytest.mark.parametrize(
    ("places", "margin", "answer"),
    [((0.0, 1.0, 4.0), -2.0, 3), ((0.0, 3.0, 4.0), 2.0, 1), ((0.0, 1.0, 2.0), 0.0, 0)],
)
def test_the_margin_is_above_zero_where_the_model_is_wrong(
    places: tuple[float, float, float], margin: float, answer: int
) -> None:
    triplets, left_out = line(*places)
    assert margins(triplets, left_out)[0] == pytest.approx(margin)
    assert answers(left_out) == [answer]
    shown = [*mistakes(triplets, [answer], left_out, Jpegs()), *some_right(triplets, [answer], left_out, Jpegs())]
    (one,) = shown
    a, b, c = places
    assert one.distances == (abs(a - b), abs(a - c), abs(b - c))
    assert one.votes == (1, 0, 2)
    assert (one.answer, one.type) == (answer, "two_class")
    assert one.margin == pytest.approx(margin)


def test_the_worst_mistakes_come_first() -> None:
    embeddings = cloud(40)
    chance = np.random.default_rng(2)
    triplets = []
    for _ in range(200):
        a, b, c = (f"f{number}" for number in chance.choice(40, 3, replace=False))
        triplets.append(EvalTriplet((a, b, c), int(chance.integers(1, 4)), 1, (1, 2)))
    left_out = distances(triplets, embeddings)
    found = mistakes(triplets, answers(left_out), left_out, Jpegs())
    assert len(found) == SHOWN_MISTAKES
    assert [one.margin for one in found] == sorted((one.margin for one in found), reverse=True)
    assert found[0].margin == pytest.approx(margins(triplets, left_out).max())
    assert all(one.answer != one.odd_one_out for one in found)
