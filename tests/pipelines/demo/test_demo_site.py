"""The demo's web is what its scenario says, and its photographs are what they claim."""

import csv
import io
import urllib.error
import urllib.parse
import urllib.request

import pytest
from PIL import Image, ImageOps

from fec.layout import EVAL, SPLITS, TRAIN
from pipelines.demo import photographs
from pipelines.demo.photographs import PEOPLE
from pipelines.demo.scenario import Manner, Scenario, scenario
from pipelines.demo.site import Site, serve


@pytest.fixture(scope="module")
def small() -> Scenario:
    return scenario(portraits=20, train_triplets=60, eval_triplets=48)


def get(site: Site, host: int, path: str) -> tuple[int, bytes]:
    try:
        url = site.origins[host] + urllib.parse.quote(path)
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("person", PEOPLE)
def test_a_face_is_where_the_box_says_after_turning_the_picture_upright(person: str) -> None:
    for seed in range(12):
        photograph = photographs.portrait(person, seed)
        with Image.open(io.BytesIO(photograph.data)) as opened:
            image = ImageOps.exif_transpose(opened)
        box = photograph.faces[0].pixels(*image.size)
        # The packaged faces are taller than wide, which a box of a picture lying on its side would not be.
        assert 1.0 < box.height / box.width < 1.6


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert photographs.portrait("admiral", 3).data == photographs.portrait("admiral", 3).data
    assert photographs.portrait("admiral", 3).data != photographs.portrait("admiral", 4).data


def test_the_csv_has_the_shape_of_the_published_one(small: Scenario) -> None:
    origins = [f"http://host{number}" for number in range(6)]
    for split in SPLITS:
        rows = list(csv.reader(io.StringIO(small.csv(split, origins))))
        assert len(rows) == len(small.triplets[split])
        assert {len(row) for row in rows} == {28, 32}
        assert all(row[15].endswith("_CLASS_TRIPLET") for row in rows)
        assert all(0 <= float(row[1]) < float(row[2]) <= 1 for row in rows)


def test_every_face_of_the_stock_is_used_and_trouble_costs_some_triplets(small: Scenario) -> None:
    used = {face.page.path for triplets in small.triplets.values() for t in triplets for face in t.faces}
    assert used == {page.path for page in small.pages}
    for split in SPLITS:
        funnel = small.expected_funnel(split)
        assert 0 < funnel["records"] < funnel["triplets_ok"] < funnel["triplets"]
        assert funnel["fetched"] < funnel["images"] < funnel["faces"]


def test_no_triplet_holds_a_face_twice(small: Scenario) -> None:
    for split in (TRAIN, EVAL):
        assert all(len(set(triplet.faces)) == 3 for triplet in small.triplets[split])


def test_the_server_behaves_as_badly_as_the_scenario_says(small: Scenario) -> None:
    with serve(small) as site:
        by_manner = {page.manner: page for page in small.pages}
        plain = by_manner[Manner.PLAIN]
        assert get(site, plain.host, plain.path) == (200, plain.photograph.data)
        slow = by_manner[Manner.SLOW]
        assert get(site, slow.host, slow.path) == (200, slow.photograph.data)
        flaky = by_manner[Manner.FLAKY]
        assert [get(site, flaky.host, flaky.path)[0] for _ in range(3)] == [503, 200, 200]
        moved = by_manner[Manner.MOVED]
        assert get(site, moved.host, moved.path) == (200, moved.photograph.data)
        assert get(site, 0, by_manner[Manner.GONE].path)[0] == 404
        assert get(site, 0, by_manner[Manner.BROKEN].path)[0] == 500
        assert get(site, 0, by_manner[Manner.APOLOGY].path)[1].startswith(b"<!doctype html>")
        with pytest.raises(urllib.error.URLError):
            get(site, 5, by_manner[Manner.NOBODY].path)
        assert [request.status for request in site.requests].count(503) == 1
