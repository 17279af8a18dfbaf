"""What is stored beside a model: read back as it was written, and how the published boxes lie to the found faces."""

from dataclasses import replace
from pathlib import Path

import pytest

from fec import layout, tables
from fec.done import Done, write_done
from fec.layout import TRAIN
from fec.model_card import ModelCard, Preprocessing, card_path, note_accuracy, preprocessing_of
from fec.outcomes import FaceOutcome
from fec.rows import VerifiedFace
from fec.storage import Storage, open_storage

CARD = ModelCard("run", "tiny", "0" * 64, 16, Preprocessing(64, box_of_found=(0.1, 0.9, 0.2, 0.8)))


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path))


def test_a_card_is_read_back_as_it_was_written() -> None:
    assert ModelCard.parse(CARD.to_bytes()) == CARD


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", CARD.to_bytes().replace(b'"format": 1', b'"format": 9')])
def test_what_is_no_card_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        ModelCard.parse(data)


def test_an_evaluation_adds_its_accuracy(storage: Storage) -> None:
    storage.write(card_path("run"), replace(CARD, accuracy={"held_out": 0.5}).to_bytes())
    note_accuracy(storage, "run", {"eval": 0.75})
    assert ModelCard.parse(storage.read(card_path("run"))).accuracy == {"held_out": 0.5, "eval": 0.75}


def test_a_model_of_an_earlier_version_gets_no_card(storage: Storage) -> None:
    note_accuracy(storage, "run", {"eval": 0.75})
    assert storage.size(card_path("run")) is None


def face(number: int, detector: str) -> VerifiedFace:
    """Found in the middle half of a crop of 100 pixels, of a published box of 80 to 160 of 200."""
    return VerifiedFace(
        f"{number:016x}", f"{number:016x}", FaceOutcome.OK, "", detector, 0.4, 0.8, 0.4, 0.8,
        image_width=200, image_height=200, crop_left=70, crop_right=170, crop_top=70, crop_bottom=170,
        found_left=0.25, found_right=0.75, found_top=0.25, found_bottom=0.75,
    )  # fmt: skip


def store_faces(storage: Storage, count: int, detector: str = "yunet") -> None:
    rows = [face(number, detector) for number in range(count)]
    tables.write_table(storage, f"{layout.faces_dir(TRAIN, 0)}/faces.parquet", tables.from_rows(rows, VerifiedFace))
    write_done(storage, layout.plan_dir(TRAIN), Done("plan", "f", "d", {}, {"num_shards": 2}))
    settings = {"detector": detector, "crop": "square", "margin": 0.3, "crop_quality": 80, "min_crop_size": 16}
    write_done(storage, layout.faces_dir(TRAIN, 0), Done("faces", "f", "d", {}, {"settings": settings}))


def test_the_published_boxes_are_told_by_the_faces_found_in_them(storage: Storage) -> None:
    store_faces(storage, 30)
    assert preprocessing_of(storage, TRAIN, 64, 75) == Preprocessing(
        64, "yunet", "square", 0.3, 80, 75, (-0.3, 1.3, -0.3, 1.3)
    )


@pytest.mark.parametrize(("count", "detector"), [(5, "yunet"), (30, "faced")])
def test_too_few_faces_of_yunet_tell_nothing_of_the_boxes(storage: Storage, count: int, detector: str) -> None:
    store_faces(storage, count, detector)
    assert preprocessing_of(storage, TRAIN, 64, 75).box_of_found == (0, 1, 0, 1)


def test_a_root_that_says_nothing_has_the_defaults(storage: Storage) -> None:
    assert preprocessing_of(storage, TRAIN, 64, None) == Preprocessing(64)
