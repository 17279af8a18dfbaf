"""Ids, crop names and fingerprints follow from what they name, and from nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fec.boxes import Box
from fec.identity import crop_name, face_id, fingerprint, fingerprint_with, image_id

URL = "https://farm1.staticflickr.com/a/b_o.jpg"
BOX = Box(0.1, 0.5, 0.2, 0.6)
urls = st.text(max_size=400)


def test_ids_do_not_change_from_one_release_to_the_next() -> None:
    assert image_id(URL) == "dde75e7d3a6d1e3e"
    assert face_id(URL, BOX) == "ba77bf96bbe40f65"


@pytest.mark.parametrize(
    "other",
    [(URL + "x", BOX), (URL, Box(0.1, 0.5, 0.2, 0.61)), (URL, Box(0.5, 0.1, 0.2, 0.6)), (URL, Box(0.2, 0.6, 0.1, 0.5))],
)
def test_two_faces_of_one_photograph_differ(other: tuple[str, Box]) -> None:
    assert face_id(*other) != face_id(URL, BOX)


def test_a_crop_is_named_as_published() -> None:
    assert crop_name(URL, BOX) == "cropped@0.1-0.5-0.2-0.6#https:--farm1.staticflickr.com-a-b_o.jpg"


@pytest.mark.parametrize("ending", ["", ".png", ".gif", ".jpg:large", "/", "?size=.jpg"])
def test_a_crop_is_a_jpeg_whatever_the_photograph_was(ending: str) -> None:
    name = crop_name("http://a.test/b" + ending, BOX)
    assert name.endswith(".jpg")
    assert not name.endswith(".jpg.jpg")


def test_a_distinct_name_carries_the_id() -> None:
    assert crop_name(URL, BOX, distinct=True).endswith(f"_o~{face_id(URL, BOX)}.jpg")


def test_a_long_name_is_cut_and_carries_the_id() -> None:
    name = crop_name("http://a.test/" + "é" * 400 + ".jpg", BOX)
    assert len(name.encode()) in (254, 255)
    assert re.search(r"é~[0-9a-f]{16}\.jpg$", name)


@given(urls, st.booleans())
def test_any_url_gives_one_safe_path_component(url: str, distinct: bool) -> None:
    name = crop_name(url, BOX, distinct=distinct)
    assert 0 < len(name.encode()) <= 255
    assert "/" not in name
    assert name.isprintable()
    assert name.startswith("cropped@0.1-0.5-0.2-0.6#")


@given(urls, urls)
def test_distinct_names_differ(one: str, two: str) -> None:
    assert (crop_name(one, BOX, distinct=True) == crop_name(two, BOX, distinct=True)) == (one == two)


def test_a_fingerprint_is_blind_to_the_order_of_keys_and_to_nothing_else() -> None:
    assert fingerprint({"a": 1, "b": "é"}) == fingerprint({"b": "é", "a": 1})
    assert len({fingerprint(value) for value in ({"a": 1}, {"a": "1"}, {"a": 1.5}, {"a": None}, {"b": 1}, {})}) == 6


@pytest.mark.parametrize("count", [0, 1, 4096, 9000])
def test_a_fingerprint_of_many_rows_is_that_of_all_of_them_at_once(count: int) -> None:
    rows = [[f"{number}", f"http://a/é/{number}"] for number in range(count)]
    value = {"a": 1, "version": 2, "step": "rows"}
    assert fingerprint_with(value, "images", iter(rows)) == fingerprint(value | {"images": rows})
