"""What a report could tell, with figures that are made up and one text wherever something comes from outside."""

from __future__ import annotations

from components.evaluate import report
from components.evaluate.about import About
from components.evaluate.accuracy import Score
from components.evaluate.answered import ShownTriplet
from components.evaluate.copies import Copies
from components.evaluate.expressions import FaceMap, Placed, Query, ShownFace
from components.evaluate.geometry import Geometry, Nearest
from components.evaluate.losses import CLASSES, Example, HostLosses, Remedy
from components.evaluate.parameters import LEVELS
from components.evaluate.politeness import HostRate, Times
from components.evaluate.report_data import Shared, ShownCrop
from fec import layout
from fec.funnel import Funnel, Outcomes
from fec.history import History
from fec.thresholds import Kept

PICTURE = b"\xff\xd8"
TYPES = ("overall", "one_class", "two_class", "three_class")


def funnel(outcome: str) -> Funnel:
    return Funnel(3, 3, 3, 3, 3, 3, 3, 1, 0, {"1": 3, "2": 0, "3": 0}, Outcomes({outcome: 3}, {outcome: 3}))


def content(text: str) -> report.Content:
    return report.Content(
        run=text,
        funnels={split: funnel(text) for split in layout.SPLITS},
        scores={name: Score(0, 0) for name in TYPES},
        by_agreement={name: Score(0, 0) for name in ("all_votes", "four_fifths", "fewer")},
        raters={name: Score(0, 0) for name in TYPES},
        pixel_baseline=Score(0, 0),
        without={name: Score(1, 2) for name in LEVELS},
        excluded=None,
        confusions={"overall": ((1, 0, 0, 1), (0, 1, 0, 0), (0, 0, 1, 0))},
        geometry=Geometry(2.5, 0.4, (Nearest(1, 0.6, 0.3, 9),)),
        shared=Shared(1, 0),
        about=About("1.2.3", "2026-11-26", 10, "cpu", 0.7, 20.0, ("fec", "run", "--root", text)),
        losses=report.Losses(
            [HostLosses(text, 5, dict.fromkeys(CLASSES, 1), text)],
            {text: [Example(text, text, "404", text)]},
            [Remedy("later", (text,), 3, 2, 1)],
        ),
        thresholds={"eval": Kept((text,), 1, 1, 9, 8, (0.7, 0.8), (5, 4), (3, 2))},
        copies=[Copies("URL", 1, 2, 3)],
        times=Times("2026-11-20", "2026-11-21", (HostRate(text, 10, 100.0, 1.5),)),
        accepted=[ShownCrop(text, PICTURE, text, text, text)],
        rejected=[ShownCrop(text, PICTURE, text, text, text)],
        face_map=FaceMap((Placed(ShownFace(text, PICTURE), 0, 0),), 1, 1, 0.5, 9),
        queries=[Query(ShownFace(text, PICTURE), (ShownFace(text, PICTURE, 0.25),))],
        mistakes=[ShownTriplet("1", (PICTURE,) * 3, (3, 1, 0), 1, 2, (0.1, 0.2, 0.3), 0.2, "two_class")],
        some_right=[ShownTriplet("1", (PICTURE,) * 3, (3, 1, 0), 1, 1, (0.1, 0.2, 0.3), -0.2, "two_class")],
        history=History([], [], []),
        provenance={text: text},
    )
