"""What an embedding knows of pictures in class folders: their expression, by two probes, and who is on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.evaluate.bootstrap import intervals
from fec.errors import ConfigurationError
from fec.pixels import encode_jpeg
from pipelines.embedding.embedder import Embedder
from pipelines.folders.pictures import Picture

FOLDS: Final = 5
NEIGHBOURS: Final = 5
# The side to which grey pixels are made small for comparing them: 256 numbers.
PIXELS: Final = 16
# Subjects that the identity probe tells apart at the most, those with most pictures: its cost grows with them.
MOST_SUBJECTS: Final = 200
_STEPS: Final = 1000


@dataclass(frozen=True)
class Probe:
    """How many of ``count`` pictures a probe names rightly, with the 95 % interval of the share over subjects.

    ``pixels``: the share that the same probe reaches on grey pixels; ``chance``: that of the most frequent answer.
    """

    name: str
    accuracy: float
    interval: tuple[float, float]
    pixels: float
    chance: float
    count: int


@dataclass(frozen=True)
class Features:
    """Pictures that can be decoded, with their embeddings, float [n, d], and their grey pixels, float [n, PIXELS^2]."""

    pictures: Sequence[Picture]
    embeddings: NDArray[Any]
    pixels: NDArray[Any]


def features_of(embedder: Embedder, pictures: Sequence[Picture]) -> Features:
    """Those of ``pictures``, which are taken as crops; files that cannot be decoded are left out."""
    kept: list[Picture] = []
    grey: list[NDArray[Any]] = []

    def crops() -> Iterator[bytes]:
        for picture in pictures:
            pixels = cv2.imread(str(picture.path), cv2.IMREAD_COLOR)
            if pixels is not None:
                kept.append(picture)
                small = cv2.resize(
                    cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), (PIXELS, PIXELS), interpolation=cv2.INTER_AREA
                )
                grey.append(np.asarray(small, np.float64).ravel())
                rgb = np.ascontiguousarray(pixels[:, :, ::-1]).astype(np.uint8, copy=False)
                yield encode_jpeg(rgb, embedder.card.preprocessing.crop_quality)

    vectors = embedder.of_crops(crops())
    return Features(kept, vectors.astype(np.float64), np.array(grey).reshape(len(kept), -1))


def probes(features: Features, subjects_known: bool) -> list[Probe]:
    """The linear and the nearest-neighbour probe of the class, on people that the probe has not seen.

    And the linear one of who it is, if subjects are known: an embedding of expressions should not know that.

    Raises ConfigurationError where there are fewer than two classes or two subjects.
    """
    labels = np.array([picture.label for picture in features.pictures])
    subjects = np.array([picture.subject for picture in features.pictures])
    if len(set(labels)) < 2 or len(set(subjects)) < 2:
        raise ConfigurationError(
            f"{len(set(labels))} classes of {len(set(subjects))} subjects can be decoded: a probe needs two of each"
        )
    folds = list(GroupKFold(min(FOLDS, len(set(subjects)))).split(labels, groups=subjects))
    found = [
        _probe(f"expression, {name}", kind, features, labels, subjects, folds)
        for name, kind in (("linear", _linear), (f"{NEIGHBOURS} nearest", _nearest))
    ]
    if subjects_known and (identity := _identity(features, subjects)) is not None:
        found.append(identity)
    return found


def _identity(features: Features, subjects: NDArray[Any]) -> Probe | None:
    """Of pictures of people who have several; parts share people, or nobody could be named."""
    several = [name for name, count in Counter(subjects.tolist()).most_common(MOST_SUBJECTS) if count > 1]
    if len(several) < 2:
        return None
    rows = np.flatnonzero(np.isin(subjects, several)).tolist()
    few = Features([features.pictures[row] for row in rows], features.embeddings[rows], features.pixels[rows])
    folds = list(KFold(min(FOLDS, len(rows)), shuffle=True, random_state=0).split(rows))
    return _probe("who it is, linear", _linear, few, subjects[rows], subjects[rows], folds)


def _probe(
    name: str, kind: Any, features: Features, wanted: NDArray[Any], subjects: NDArray[Any], folds: Sequence[Any]
) -> Probe:
    right = _named(kind, features.embeddings, wanted, folds) == wanted
    pixels = _named(kind, features.pixels, wanted, folds) == wanted
    spread = intervals(right, {"all": np.ones(len(right), bool)}, [[str(subject)] for subject in subjects])["all"]
    assert spread is not None  # of at least two pictures
    most = Counter(wanted.tolist()).most_common(1)[0][1]
    return Probe(name, float(right.mean()), spread, float(pixels.mean()), most / len(wanted), len(wanted))


def _named(kind: Any, values: NDArray[Any], wanted: NDArray[Any], folds: Sequence[Any]) -> NDArray[Any]:
    """What a probe that was fitted on the other folds says of each picture."""
    said = np.empty_like(wanted)
    for known, asked in folds:
        if len(set(wanted[known])) < 2:
            said[asked] = wanted[known][0]
        else:
            said[asked] = kind(len(known)).fit(values[known], wanted[known]).predict(values[asked])
    return said


def _linear(known: int) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=_STEPS))


def _nearest(known: int) -> Any:
    return KNeighborsClassifier(min(NEIGHBOURS, known))


def as_json(found: Sequence[Probe]) -> Mapping[str, Any]:
    """The probes by name."""
    return {probe.name: {name: value for name, value in asdict(probe).items() if name != "name"} for probe in found}


def as_text(found: Sequence[Probe]) -> str:
    """A table of the probes."""
    lines = [f"{'':<24}{'embedding':>10}{'95 % interval':>18}{'pixels':>9}{'chance':>9}{'pictures':>10}"]
    for probe in found:
        low, high = probe.interval
        shares = f"{probe.accuracy:>10.1%}{f'{low:.1%} to {high:.1%}':>18}{probe.pixels:>9.1%}{probe.chance:>9.1%}"
        lines.append(f"{probe.name:<24}{shares}{probe.count:>10,}")
    return "\n".join(lines)
