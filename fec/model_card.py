"""``model.json``, beside a model: what to feed it, what it gives, what it was trained on and how good that is.

Whoever has the two files has what is needed to use the model as it was trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any, Final

from fec import layout, tables
from fec.boxes import CROP_EXPANSION, Box
from fec.done import read_done
from fec.outcomes import FaceOutcome
from fec.storage import Storage

# Raised when a field changes its meaning.
FORMAT: Final = 1
METRIC: Final = "euclidean"
LICENCE: Final = (
    "The code is Apache-2.0. The weights were learnt from photographs that belong to their authors, by annotations "
    "under the terms of Google's Facial Expression Comparison dataset: these decide what they may be used for."
)
# What a published box is measured by: shards and faces that are enough, and faces that are too few.
_SHARDS: Final = 20
_ENOUGH: Final = 2000
_TOO_FEW: Final = 20
_YUNET: Final = "yunet"
_COLUMNS: Final = [
    *("outcome", "detector", "left", "right", "top", "bottom", "image_width", "image_height"),
    *("crop_left", "crop_right", "crop_top", "crop_bottom", "found_left", "found_right", "found_top", "found_bottom"),
]


@dataclass(frozen=True)
class Preprocessing:
    """From a photograph to what the network takes: float32 RGB 0..255 [batch, image_size, image_size, 3].

    The published box of a face, or one that lies to the face that YuNet finds as ``box_of_found`` does (left, right,
    top, bottom; the found face is 0..1 in both directions), grown by ``margin`` of its width and height, half on each
    side, as a ``crop`` (box or square), in sRGB, as a JPEG of ``crop_quality``; then the longer side made
    ``image_size``, the shorter one filled up with edge pixels, as a JPEG of ``jpeg_quality``. ``detector``: what
    verified the crops.
    """

    image_size: int
    detector: str = _YUNET
    crop: str = "box"
    margin: float = CROP_EXPANSION
    crop_quality: int = 95
    jpeg_quality: int = 90
    box_of_found: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)


@dataclass(frozen=True)
class ModelCard:
    """What ``model.json`` says.

    ``dimension`` numbers come out, of length 1, compared by ``metric``. ``trained_on``: list, subset, triplets, faces.
    ``accuracy``: share of triplets answered rightly, ``held_out`` of train and, once the model was evaluated, of the
    eval split with its interval, beside chance and bare pixels.
    """

    run: str
    network: str
    sha256: str
    dimension: int
    preprocessing: Preprocessing
    metric: str = METRIC
    trained_on: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    licence: str = LICENCE

    def to_bytes(self) -> bytes:
        """The content of ``model.json``."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n").encode()

    @staticmethod
    def parse(data: bytes) -> ModelCard:
        """What ``to_bytes`` gave; ValueError for anything else."""
        try:
            value = json.loads(data)
            if value.pop("format") != FORMAT:
                raise ValueError("of another format")
            box = tuple(float(edge) for edge in value["preprocessing"].pop("box_of_found"))
            steps = Preprocessing(**value.pop("preprocessing"), box_of_found=box)  # type: ignore[arg-type]
            return ModelCard(**value, preprocessing=steps)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a model.json: {error}") from None


def card_path(run: str) -> str:
    return f"{layout.model_dir(run)}/model.json"


def note_accuracy(storage: Storage, run: str, accuracy: Mapping[str, Any]) -> None:
    """Add what an evaluation measured to a run's ``model.json``; nothing where it has none."""
    try:
        card = ModelCard.parse(storage.read(card_path(run)))
    except (FileNotFoundError, ValueError):
        return
    storage.write(card_path(run), replace(card, accuracy={**card.accuracy, **accuracy}).to_bytes())


def dataset_of(storage: Storage, split: str) -> dict[str, str]:
    """Which list a split was planned from, the digest of its plan, and the subset it was held to ("": none)."""
    plan, collected = read_done(storage, layout.plan_dir(split)), read_done(storage, layout.collect_dir(split))
    if plan is None or collected is None:
        return {}
    about = json.loads(storage.read(f"{layout.plan_dir(split)}/plan.json"))
    return {"annotations": str(about["parameters"]["annotations"]), "plan": plan.digest} | {
        "subset": str(collected.details.get("subset", ""))
    }


def preprocessing_of(storage: Storage, split: str, image_size: int, jpeg_quality: int | None) -> Preprocessing:
    """How the faces of a split's records were made, as far as their markers say it; else by the steps' defaults."""
    done = read_done(storage, layout.faces_dir(split, 0))
    settings = done.details.get("settings", {}) if done is not None else {}
    known = {name: settings[name] for name in ("detector", "crop", "margin", "crop_quality") if name in settings}
    if jpeg_quality is not None:
        known["jpeg_quality"] = jpeg_quality
    return Preprocessing(image_size, **known, box_of_found=box_of_found(storage, split))


def box_of_found(storage: Storage, split: str) -> tuple[float, float, float, float]:
    """How the published boxes lie to the faces that YuNet found: the median over some verified faces.

    The found face is 0..1 in both directions; (0, 1, 0, 1) where too few were found by it.
    """
    plan = read_done(storage, layout.plan_dir(split))
    shards = int(plan.details["num_shards"]) if plan is not None else 0
    edges: list[tuple[float, float, float, float]] = []
    for shard in range(min(shards, _SHARDS)):
        edges += _edges(storage, f"{layout.faces_dir(split, shard)}/{layout.FACES_TABLE}")
        if len(edges) >= _ENOUGH:
            break
    if len(edges) < _TOO_FEW:
        return (0.0, 1.0, 0.0, 1.0)
    left, right, top, bottom = (round(median(edge), 4) for edge in zip(*edges, strict=True))
    return left, right, top, bottom


def _edges(storage: Storage, path: str) -> list[tuple[float, float, float, float]]:
    try:
        rows = tables.read_table(storage, path, columns=_COLUMNS, filters=[("outcome", "=", str(FaceOutcome.OK))])
    except FileNotFoundError:
        return []
    return [_edge(row) for row in rows.to_pylist() if row["detector"] == _YUNET and row["found_left"] is not None]


def _edge(row: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """A published box as it lies to the face found in its crop."""
    box = Box(row["left"], row["right"], row["top"], row["bottom"])
    width, height = row["crop_right"] - row["crop_left"], row["crop_bottom"] - row["crop_top"]
    left = row["crop_left"] + row["found_left"] * width
    top = row["crop_top"] + row["found_top"] * height
    across, down = (row["found_right"] - row["found_left"]) * width, (row["found_bottom"] - row["found_top"]) * height
    return (
        (box.left * row["image_width"] - left) / across,
        (box.right * row["image_width"] - left) / across,
        (box.top * row["image_height"] - top) / down,
        (box.bottom * row["image_height"] - top) / down,
    )
