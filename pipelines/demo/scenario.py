"""What stands on the demo's web server, what its two CSVs say of it, and what should come out.

In these triplets the odd one out is always another person. That is no judgement of expressions; it is
something a small model can learn in a minute, so that the last number of a run means something.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from fec.boxes import Box
from fec.layout import EVAL, TRAIN
from fec.outcomes import FaceOutcome, ImageOutcome
from pipelines.demo import photographs
from pipelines.demo.photographs import PEOPLE, SCENES, Photograph

# Within a split: how many pictures of each kind there are for every 40 good portraits.
_TYPES: Final = ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")


class Manner(Enum):
    """How the server answers a request for a page."""

    PLAIN = auto()
    SLOW = auto()
    """After a while, and then in small pieces."""
    FLAKY = auto()
    """503 the first time, then as it should."""
    MOVED = auto()
    """A redirect to where the picture is now."""
    GONE = auto()
    """404."""
    BROKEN = auto()
    """500, every time."""
    APOLOGY = auto()
    """200, and an HTML page that says the photo is no longer there."""
    NOBODY = auto()
    """Nothing listens at this address."""


@dataclass(frozen=True)
class Page:
    """One URL of the demo's web: what it answers, and what should become of the image and its faces."""

    host: int  # number of the address it is served from
    path: str
    manner: Manner
    photograph: Photograph
    image_outcome: ImageOutcome
    face_outcome: FaceOutcome


@dataclass(frozen=True)
class Face:
    page: Page
    box: Box
    person: str | None


@dataclass(frozen=True)
class DemoTriplet:
    faces: tuple[Face, Face, Face]
    type: str
    votes: tuple[int, ...]

    @property
    def consensus(self) -> bool:
        """At least two thirds of the votes name one face."""
        return 3 * max(Counter(self.votes).values()) >= 2 * len(self.votes)

    @property
    def survives(self) -> bool:
        return all(face.page.face_outcome is FaceOutcome.OK for face in self.faces)


@dataclass(frozen=True)
class Scenario:
    """All pages, and the triplets of each split."""

    pages: tuple[Page, ...]
    triplets: Mapping[str, tuple[DemoTriplet, ...]]

    def expected_funnel(self, split: str) -> dict[str, int]:
        """What a run over this scenario should count, by the keys of ``fec run --json``."""
        triplets = self.triplets[split]
        faces = {(face.page.path, face.box): face for triplet in triplets for face in triplet.faces}
        images = {face.page.path: face.page for face in faces.values()}
        surviving = [triplet for triplet in triplets if triplet.survives]
        return {
            "images": len(images),
            "fetched": sum(page.image_outcome is ImageOutcome.FETCHED for page in images.values()),
            "faces": len(faces),
            "faces_ok": sum(face.page.face_outcome is FaceOutcome.OK for face in faces.values()),
            "triplets": len(triplets),
            "triplets_ok": len(surviving),
            "records": sum(triplet.consensus for triplet in surviving),
        }

    def csv(self, split: str, origins: Sequence[str]) -> str:
        """The split's annotations in FEC's format; ``origins[i]`` is the ``http://host:port`` of host number i."""
        lines = []
        for number, triplet in enumerate(self.triplets[split]):
            cells = []
            for face in triplet.faces:
                box = face.box
                cells.append(f'"{origins[face.page.host]}{face.page.path}"')
                cells += [f"{value:.6f}" for value in (box.left, box.right, box.top, box.bottom)]
            cells.append(triplet.type)
            for rater, vote in enumerate(triplet.votes):
                cells += [f"anon{(number + rater) % 12:02d}", str(vote)]
            lines.append(",".join(cells))
        return "\n".join(lines) + "\n"


def scenario(portraits: int = 60, train_triplets: int = 300, eval_triplets: int = 100, seed: int = 0) -> Scenario:
    """A web of about ``portraits`` + ``portraits`` / 3 good pictures and, in proportion, all kinds of trouble.

    Host 0 to 4 answer; at host 5 nobody does. The same arguments give the same scenario, byte for byte.
    """
    chance = random.Random(seed)  # noqa: S311 - a demo, not a secret
    pages: list[Page] = []
    triplets: dict[str, tuple[DemoTriplet, ...]] = {}
    for split, good, count in ((TRAIN, portraits, train_triplets), (EVAL, max(9, portraits // 3), eval_triplets)):
        stock = _stock(split, good, seed)
        pages += {face.page.path: face.page for face in stock}.values()
        triplets[split] = _triplets(stock, count, chance)
    return Scenario(tuple(pages), triplets)


def _stock(split: str, good: int, seed: int) -> list[Face]:
    """The faces of a split, each kind of page among them."""
    faces: list[Face] = []

    def put(
        photograph: Photograph,
        manner: Manner = Manner.PLAIN,
        image: ImageOutcome = ImageOutcome.FETCHED,
        face: FaceOutcome = FaceOutcome.OK,
        boxes: Sequence[Box] | None = None,
        name: str = "",
    ) -> None:
        number = len(faces)
        # As uneven as the real list: the first host has every other picture.
        host = 5 if manner is Manner.NOBODY else 0 if number % 2 else number // 2 % 5
        path = f"/{split}/{seed}/{name or f'{number:04d}.{photograph.extension}'}"
        page = Page(host, path, manner, photograph, image, face)
        people: Sequence[str | None] = photograph.people or [None]
        for box, person in zip(boxes or photograph.faces, people, strict=True):
            faces.append(Face(page, _as_published(box), person))

    offset = seed * 10_000 + (0 if split == TRAIN else 5_000)

    def some(number: int) -> Photograph:
        return photographs.portrait(PEOPLE[number % len(PEOPLE)], offset + number)

    for number in range(good):
        manner = {7: Manner.SLOW, 11: Manner.FLAKY, 13: Manner.MOVED}.get(number % 20, Manner.PLAIN)
        put(some(number), manner)
    for number in range(max(1, good // 20)):
        left, right = PEOPLE[number % 3], PEOPLE[(number + 1) % 3]
        put(photographs.group_portrait(left, right, offset + number), name=f"two, together-{number}.jpg")
        n = good + 10 * number
        put(some(n), Manner.GONE, ImageOutcome.GONE, FaceOutcome.NO_IMAGE)
        put(some(n + 1), Manner.APOLOGY, ImageOutcome.NOT_AN_IMAGE, FaceOutcome.NO_IMAGE)
        put(_truncated(some(n + 2)), face=FaceOutcome.UNREADABLE)
        wrong = some(n + 3)
        put(wrong, face=FaceOutcome.NO_FACE, boxes=[_elsewhere(wrong.faces[0])])
        put(photographs.scene(SCENES[number % len(SCENES)]), face=FaceOutcome.NO_FACE, name=f"scene-{number}.jpg:large")
    put(some(2 * good), Manner.BROKEN, ImageOutcome.SERVER_ERROR, FaceOutcome.NO_IMAGE)
    put(some(2 * good + 1), Manner.NOBODY, ImageOutcome.CONNECTION_FAILED, FaceOutcome.NO_IMAGE)
    return faces


def _triplets(stock: Sequence[Face], count: int, chance: random.Random) -> tuple[DemoTriplet, ...]:
    """Triplets that use every face of the stock; two of one person and, as odd one out, another."""
    people = {person: [face for face in stock if face.person == person] for person in PEOPLE}
    strangers = [face for face in stock if face.person is None]
    triplets = []
    turn = dict.fromkeys(PEOPLE, 0)

    def next_face(person: str) -> Face:
        turn[person] += 1
        if turn[person] % len(people[person]) == 0:
            chance.shuffle(people[person])
        return people[person][turn[person] % len(people[person])]

    for number in range(count):
        same, other = chance.sample(PEOPLE, 2)
        first, second, odd = next_face(same), next_face(same), next_face(other)
        if first == second:
            second = next_face(same)
        if number < len(strangers):
            odd = strangers[number]
        place = chance.randrange(3)
        order = [first, second]
        order.insert(place, odd)
        triplets.append(DemoTriplet((order[0], order[1], order[2]), chance.choice(_TYPES), _votes(place + 1, number)))
    return tuple(triplets)


def _votes(odd: int, number: int) -> tuple[int, ...]:
    """Six votes as a rule; every 16th triplet has no consensus, every 9th more annotators."""
    another, third = odd % 3 + 1, (odd + 1) % 3 + 1
    if number % 16 == 15:
        return (odd, another, odd, another, third, odd)
    if number % 9 == 8:
        return (odd, odd, another, odd, odd, odd, odd, odd)
    return ((odd,) * 6, (odd, odd, odd, another, odd, odd), (third, odd, odd, odd, odd, another))[number % 3]


def _as_published(box: Box) -> Box:
    """The box as the CSV's six decimals give it back."""
    return Box(*(float(f"{value:.6f}") for value in (box.left, box.right, box.top, box.bottom)))


def _truncated(photograph: Photograph) -> Photograph:
    data = photograph.data[: len(photograph.data) // 2]
    return Photograph(data, photograph.content_type, photograph.extension, photograph.people, photograph.faces)


def _elsewhere(box: Box) -> Box:
    """A box in a corner where the face is not."""
    left = 0.02 if box.left > 1 - box.right else 0.78
    return Box(left, left + 0.2, 0.75, 0.98)
