"""A higher threshold over what is there already."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.faces.step import Parameters, run
from components.faces.verifiers import Verifiers
from fec import layout
from fec.boxes import Box
from tests.components.faces.scene import (
    NOWHERE,
    PEOPLE,
    Page,
    downloaded,
    encoded,
    face_box,
    output,
    photograph,
    rows,
    smaller,
)
from tests.components.faces.test_verification import sideways


def pages() -> list[Page]:
    """Faces found more and less surely, upright and turned, one on its head, somebody else's, and no face."""
    found = []
    for person in PEOPLE:
        box = face_box(person)
        around = Box(1 - box.right, 1 - box.left, 1 - box.bottom, 1 - box.top)
        wide = Box(max(0, box.left - 0.15), min(1, box.right + 0.15), max(0, box.top - 0.1), min(1, box.bottom + 0.15))
        pictures = {
            "plain": encoded(photograph(person)),
            "tiny": encoded(smaller(photograph(person), 130)),
            "as-viewed": sideways(photograph(person), 6, 1),
            "as-stored": sideways(photograph(person), 8, 0),
        }
        found += [
            Page(f"http://a.example/{person}-{name}.jpg", [box, NOWHERE], data) for name, data in pictures.items()
        ]
        head = encoded(np.ascontiguousarray(photograph(person)[::-1, ::-1]))
        found.append(Page(f"http://a.example/{person}-head.jpg", [around], head))
        found.append(Page(f"http://a.example/{person}-wide.jpg", [wide], encoded(photograph(person))))
    return [*found, Page("http://a.example/cat.jpg", [Box(0.2, 0.6, 0.2, 0.6)], encoded(photograph("cat")))]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root verified at 0.5."""
    root = tmp_path_factory.mktemp("rejudging") / "root"
    downloaded(root, pages())
    run(parameters(root, 0.5))
    return root


def parameters(root: Path, min_confidence: float, **others: Any) -> Parameters:
    return Parameters(root=str(root), split="train", workers=1, min_confidence=min_confidence, **others)


def copy(root: Path, to: Path) -> Path:
    shutil.copytree(root, to)
    return to


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that were verified by a detector, as it comes to that."""
    images: list[str] = []
    real = Verifiers.map

    def noted(self: Verifiers, tasks: Any) -> Any:
        def each() -> Any:
            for task in tasks:
                images.append(task.wanted[0].image_id)
                yield task

        return real(self, each())

    monkeypatch.setattr(Verifiers, "map", noted)
    return images


@pytest.mark.parametrize("higher", [0.7, 0.88, 0.92, 0.99])
def test_a_higher_threshold_gives_what_a_run_of_its_own_gives(
    once: Path, higher: float, tmp_path: Path, verified: list[str]
) -> None:
    raised, afresh = copy(once, tmp_path / "raised"), tmp_path / "afresh"
    downloaded(afresh, pages())
    run(parameters(afresh, higher))
    all_of_them = len(verified)
    verified.clear()
    run(parameters(raised, higher))
    assert output(raised) == output(afresh)
    # Only where a face was found in one view and the other would be looked at next.
    assert len(verified) < all_of_them
    turned = {row["image_id"] for row in rows_of(once) if row["exif_orientation"] != 1}
    looked_on = {row["image_id"] for row in rows_of(once) if row["outcome"] in ("face_elsewhere", "upside_down")}
    assert set(verified) <= turned | looked_on


def rows_of(root: Path) -> list[dict[str, Any]]:
    from fec.storage import open_storage

    return rows(open_storage(str(root)))


def test_no_picture_is_looked_at_where_no_face_was_lost(once: Path, tmp_path: Path, verified: list[str]) -> None:
    root = copy(once, tmp_path / "root")
    run(parameters(root, 0.51))
    assert verified == []


def test_a_lower_threshold_and_another_parameter_look_at_every_picture(
    once: Path, tmp_path: Path, verified: list[str]
) -> None:
    root = copy(once, tmp_path / "root")
    run(parameters(root, 0.45))
    assert len(verified) == len(pages())
    verified.clear()
    run(parameters(root, 0.7, margin=0.2))
    assert len(verified) == len(pages())


def test_a_table_or_a_crop_that_is_not_what_was_stored_is_not_believed(
    once: Path, tmp_path: Path, verified: list[str]
) -> None:
    root = copy(once, tmp_path / "root")
    folder = root / layout.faces_dir("train", 0)
    [spoiled, *_] = [row for row in rows_of(root) if row["outcome"] == "ok" and row["exif_orientation"] == 1]
    (folder / spoiled["crop_name"]).write_bytes(b"spoiled")
    run(parameters(root, 0.51))
    assert verified == [spoiled["image_id"]]
    verified.clear()
    table = folder / layout.FACES_TABLE
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    run(parameters(root, 0.52))
    assert len(verified) == len(pages())


def test_the_row_knows_the_orientation_that_was_not_applied(once: Path) -> None:
    assert {(row["orientation"], row["exif_orientation"]) for row in rows_of(once)} >= {(1, 1), (6, 6), (1, 8)}
    assert dataclasses.asdict(parameters(once, 0.5))["min_confidence"] == 0.5
