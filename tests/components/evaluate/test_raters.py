"""What the votes say, by hand."""

from __future__ import annotations

from components.evaluate.accuracy import EvalTriplet, Score
from components.evaluate.raters import by_agreement, leave_one_out

FACES = ("a", "b", "c")


def voted(*votes: int, odd: int, kind: int = 1) -> EvalTriplet:
    return EvalTriplet(FACES, odd, kind, votes)


def test_triplets_are_parted_by_the_share_of_votes_for_the_consensus() -> None:
    triplets = [voted(1, 1, 1, odd=1), voted(2, 2, 2, 2, 1, odd=2), voted(3, 3, 1, odd=3), EvalTriplet(FACES, 1, 1)]
    found = {name: group.tolist() for name, group in by_agreement(triplets).items()}
    assert found == {
        "all_votes": [True, False, False, False],
        "four_fifths": [False, True, False, False],
        "fewer": [False, False, True, False],
    }


def test_a_vote_is_held_against_the_others_and_not_against_itself() -> None:
    """Of 1 1 2 the others of a 1 are tied, and those of the 2 say 1; of 3 3 3 3 1 the four 3s are right."""
    found = leave_one_out([voted(1, 1, 2, odd=1), voted(3, 3, 3, 3, 1, odd=3, kind=2)])
    assert found["one_class"] == Score(0, 1)
    assert found["two_class"] == Score(4, 5)
    assert found["three_class"].accuracy is None
    assert found["overall"] == Score(4, 6)
