"""The plan as a whole: what it writes, that again is free, and what it refuses."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.plan.component import plan
from components.plan.step import Parameters, run
from fec import identity, tables
from fec.boxes import Box
from fec.done import read_done
from fec.errors import ConfigurationError
from fec.outcomes import ImageOutcome
from fec.rows import PlannedFace, PlannedImage, PlannedTriplet, SegmentRow, StoredElsewhere
from fec.storage import open_storage

HOSTS = ("farm1.staticflickr.com", "farm2.staticflickr.com", "anna.blogspot.com", "photos.example.org", "127.0.0.2:80")


def face(number: int, box: str = "0.1,0.5,0.2,0.6") -> str:
    return f'"http://{HOSTS[number % len(HOSTS)]}/{number}.jpg",{box}'


def row(*faces: str, kind: str = "ONE_CLASS_TRIPLET", votes: str = "a,1,b,1,c,1,d,1,e,2,f,3") -> str:
    return f"{','.join(faces)},{kind},{votes}"


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    """30 triplets over 40 photographs, two faces in photograph 0, one row twice, one without consensus."""
    rows = [row(face(i), face(i + 1), face(i + 10)) for i in range(27)]
    rows.append(row(face(0), face(0, "0.6,0.9,0.2,0.6"), face(39), kind="THREE_CLASS_TRIPLET"))
    rows.append(rows[0])
    rows.append(row(face(3), face(4), face(5), votes="g,1,h,2"))
    path = tmp_path / "annotations.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def parameters(tmp_path: Path, annotations: Path, **others: Any) -> Parameters:
    return Parameters(**{"root": str(tmp_path / "root"), "split": "train", "annotations": str(annotations)} | others)


def rows_of(tmp_path: Path, name: str) -> list[dict[str, Any]]:
    table = tables.read_table(open_storage(str(tmp_path / "root")), f"plan/train/{name}.parquet")
    return table.to_pylist()  # type: ignore[no-any-return]


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_tables_hold_each_photograph_once_each_face_once_and_every_triplet(
    tmp_path: Path, annotations: Path
) -> None:
    run(parameters(tmp_path, annotations))
    images, faces, triplets = (rows_of(tmp_path, name) for name in ("images", "faces", "triplets"))
    urls = {f"http://{HOSTS[i % len(HOSTS)]}/{i}.jpg" for i in (*range(37), 39)}
    assert sorted(image["url"] for image in images) == sorted(urls)
    assert all(image["image_id"] == identity.image_id(image["url"]) for image in images)
    assert images == sorted(images, key=lambda image: (image["shard"], image["image_id"]))
    assert len(faces) == len(urls) + 1
    assert faces == sorted(faces, key=lambda face: (face["shard"], face["image_id"], face["face_id"]))
    shard_of = {image["image_id"]: image["shard"] for image in images}
    assert all(face["shard"] == shard_of[face["image_id"]] for face in faces)
    assert len(triplets) == 30
    assert [triplet["line"] for triplet in triplets] == list(range(1, 31))
    first = "http://farm1.staticflickr.com/0.jpg"
    assert triplets[27] == {
        "line": 28,
        "face_a": identity.face_id(first, Box(0.1, 0.5, 0.2, 0.6)),
        "face_b": identity.face_id(first, Box(0.6, 0.9, 0.2, 0.6)),
        "face_c": identity.face_id("http://127.0.0.2:80/39.jpg", Box(0.1, 0.5, 0.2, 0.6)),
        "type": 3,
        "votes": [1, 1, 1, 1, 2, 3],
        "annotators": ["a", "b", "c", "d", "e", "f"],
        "odd_one_out": 1,
    }
    assert triplets[28] | {"line": 1} == triplets[0]
    assert (triplets[29]["votes"], triplets[29]["odd_one_out"]) == ([1, 2], None)


def test_the_schemas_are_those_the_next_steps_read(tmp_path: Path, annotations: Path) -> None:
    run(parameters(tmp_path, annotations))
    for name, schema in (
        ("images", tables.schema(PlannedImage)),
        ("faces", tables.schema(PlannedFace)),
        ("triplets", tables.schema(PlannedTriplet)),
    ):
        assert pq.read_schema(tmp_path / "root" / "plan" / "train" / f"{name}.parquet").equals(schema)


def test_a_host_lives_in_one_shard_and_its_names_together(tmp_path: Path, annotations: Path) -> None:
    run(parameters(tmp_path, annotations, num_shards=3))
    shards: dict[str, set[int]] = {}
    for image in rows_of(tmp_path, "images"):
        shards.setdefault(image["host_key"], set()).add(image["shard"])
    assert shards.keys() == {"staticflickr.com", "blogspot.com", "example.org", "127.0.0.2"}
    assert all(len(found) == 1 for found in shards.values())


def test_the_plan_says_what_to_expect(tmp_path: Path, annotations: Path) -> None:
    run(parameters(tmp_path, annotations, num_shards=3, requests_per_second=2.0))
    said = json.loads((tmp_path / "root/plan/train/plan.json").read_text())
    assert said["counts"] == {
        "shards": 3,
        "rows": 30,
        "malformed": 0,
        "clipped_boxes": 0,
        "triplets": 30,
        "triplets_with_consensus": 29,
        "images": 38,
        "faces": 39,
        "hosts": 4,
    }
    assert said["largest_hosts"][0] == {"host_key": "staticflickr.com", "images": 16, "expected_seconds": 8.0}
    assert said["expected_seconds"] == 8.0
    done = read_done(open_storage(str(tmp_path / "root")), "plan/train")
    assert done is not None
    assert (done.counts, done.details) == (said["counts"], {"num_shards": 3, "shards_per_host": 1})


def test_a_rate_beyond_one_task_spreads_a_host(tmp_path: Path, annotations: Path) -> None:
    run(parameters(tmp_path, annotations, num_shards=4, requests_per_second=400.0, task_requests_per_second=200.0))
    flickr = {image["shard"] for image in rows_of(tmp_path, "images") if image["host_key"] == "staticflickr.com"}
    assert len(flickr) == 2


@pytest.mark.parametrize(
    ("num_shards", "max_shards", "other_shards", "max_groups", "groups"),
    [
        (8, 0, 0, 80, 8),
        (37, 0, 0, 3, 3),
        (2000, 0, 0, 80, 80),
        (8, 2, 0, 80, 2),
        (2, 8, 0, 80, 2),
        # The splits share the groups by their shards.
        (2000, 0, 200, 66, 60),
        (200, 0, 2000, 66, 6),
        (2000, 0, 2000, 80, 40),
        (1, 0, 2000, 66, 1),
        (2000, 1, 200, 66, 1),
    ],
)
def test_groups(
    tmp_path: Path,
    annotations: Path,
    num_shards: int,
    max_shards: int,
    other_shards: int,
    max_groups: int,
    groups: int,
) -> None:
    shards = {"num_shards": num_shards, "max_shards": max_shards, "other_shards": other_shards}
    asked = parameters(tmp_path, annotations, max_groups=max_groups, **shards)
    assert run(asked) == [f"{index}/{groups}" for index in range(groups)]


def test_a_trial_takes_whole_triplets_from_the_beginning(tmp_path: Path, annotations: Path) -> None:
    run(parameters(tmp_path, annotations, num_shards=8, max_shards=2))
    triplets, faces, images = (rows_of(tmp_path, name) for name in ("triplets", "faces", "images"))
    assert [triplet["line"] for triplet in triplets] == list(range(1, 9))  # 30 * 2 / 8, rounded up
    assert all(len(triplet["votes"]) == len(triplet["annotators"]) == 6 for triplet in triplets)
    assert {face["face_id"] for face in faces} == {t[f"face_{place}"] for t in triplets for place in "abc"}
    assert {image["image_id"] for image in images} == {face["image_id"] for face in faces}
    assert {image["shard"] for image in images} == {0, 1}


def test_a_trial_as_large_as_the_split_is_no_trial(tmp_path: Path, annotations: Path) -> None:
    run(parameters(tmp_path, annotations, num_shards=4))
    before = tree(tmp_path / "root")
    run(parameters(tmp_path, annotations, num_shards=4, max_shards=4))
    assert tree(tmp_path / "root") == before


def test_crop_names_that_meet_are_told_apart_and_others_stay_as_published(tmp_path: Path) -> None:
    box = "0.1,0.5,0.2,0.6"
    urls = ["http://a.org/b/c.jpg", "http://a.org/b-c.jpg", "http://a.org/B-c.jpg", "http://a.org/d.jpg"]
    one, two, three, four = (f'"{url}",{box}' for url in urls)
    path = tmp_path / "a.csv"
    path.write_text(f"{row(one, two, three)}\n{row(one, two, four)}\n")
    run(parameters(tmp_path, path))
    url_of = {image["image_id"]: image["url"] for image in rows_of(tmp_path, "images")}
    names = {url_of[face["image_id"]]: face["crop_name"] for face in rows_of(tmp_path, "faces")}
    assert names == {url: identity.crop_name(url, Box(0.1, 0.5, 0.2, 0.6), distinct=url != urls[3]) for url in urls}
    assert names[urls[3]] == "cropped@0.1-0.5-0.2-0.6#http:--a.org-d.jpg"
    assert len({name.lower() for name in names.values()}) == 4


def test_a_second_run_touches_nothing_and_does_not_read_the_rows(
    tmp_path: Path, annotations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = parameters(tmp_path, annotations)
    groups = run(asked)
    before = tree(tmp_path / "root")
    monkeypatch.delattr("fec.annotations.read_rows")
    assert run(asked) == groups
    assert tree(tmp_path / "root") == before


def test_the_same_plan_is_the_same_bytes(tmp_path: Path, annotations: Path) -> None:
    written = []
    for name in ("one", "two"):
        run(parameters(tmp_path, annotations, root=str(tmp_path / name)))
        written.append({path: content for path, (content, _) in tree(tmp_path / name).items()})
    assert written[0] == written[1]


def test_two_crop_names_that_meet_are_told_apart(tmp_path: Path) -> None:
    urls = [f"http://h.test/{path}.jpg" for path in ("a/b", "a-b", "c")]
    path = tmp_path / "annotations.csv"
    path.write_text(row(*(f'"{url}",0.1,0.5,0.2,0.6' for url in urls)) + "\n")
    run(parameters(tmp_path, path))
    names = sorted(face["crop_name"] for face in rows_of(tmp_path, "faces"))
    assert len({name.lower() for name in names}) == 3
    assert sum("~" in name for name in names) == 2


@pytest.mark.parametrize("change", [{"num_shards": 2}, {"agreement": 0.9}, {"max_shards": 1}])
def test_a_changed_parameter_is_planned_anew(tmp_path: Path, annotations: Path, change: dict[str, Any]) -> None:
    run(parameters(tmp_path, annotations))
    storage = open_storage(str(tmp_path / "root"))
    before = read_done(storage, "plan/train")
    run(parameters(tmp_path, annotations, **change))
    after = read_done(storage, "plan/train")
    assert before is not None
    assert after is not None
    assert before.fingerprint != after.fingerprint
    assert before.digest != after.digest


def test_changed_annotations_are_planned_anew(tmp_path: Path, annotations: Path) -> None:
    run(parameters(tmp_path, annotations))
    annotations.write_text(annotations.read_text() + row(face(50), face(51), face(52)) + "\n")
    run(parameters(tmp_path, annotations))
    assert len(rows_of(tmp_path, "triplets")) == 31


def test_the_number_of_groups_is_no_part_of_the_plan(tmp_path: Path, annotations: Path) -> None:
    run(parameters(tmp_path, annotations))
    before = tree(tmp_path / "root")
    assert run(parameters(tmp_path, annotations, max_groups=2)) == ["0/2", "1/2"]
    assert tree(tmp_path / "root") == before


def test_originals_of_an_earlier_plan_are_listed(tmp_path: Path, annotations: Path) -> None:
    storage = open_storage(str(tmp_path / "root"))
    ids = [identity.image_id(f"http://{HOSTS[i % len(HOSTS)]}/{i}.jpg") for i in range(5)]
    tried = {
        "images/eval/3/segment-00000": [(ids[0], "fetched"), (ids[1], "gone"), (ids[2], "timed_out")],
        "images/eval/7/segment-00001": [(ids[1], "fetched"), (ids[3], "gone"), ("unknown", "fetched")],
        "images/train/99/segment-00000": [(ids[3], "gone")],
    }
    for name, rows in tried.items():
        manifest = [SegmentRow(image, "", ImageOutcome(outcome), "", 1, datetime.now(UTC)) for image, outcome in rows]
        tables.write_table(storage, f"{name}.parquet", tables.from_rows(manifest, SegmentRow))
    storage.write("images/eval/9/segment-00000.parquet", b"spoiled")
    run(parameters(tmp_path, annotations))
    places = {ids[0]: ("eval", 3, 0), ids[1]: ("eval", 7, 1), ids[3]: ("eval", 7, 1)}
    assert [tuple(place.values()) for place in rows_of(tmp_path, "stored")] == [
        (image, *places[image]) for image in sorted(places)
    ]
    assert pq.read_schema(tmp_path / "root/plan/train/stored.parquet").equals(tables.schema(StoredElsewhere))


def test_without_originals_there_is_no_list_of_them(tmp_path: Path, annotations: Path) -> None:
    open_storage(str(tmp_path / "root")).write("plan/train/stored.parquet", b"of an earlier plan")
    run(parameters(tmp_path, annotations))
    assert not (tmp_path / "root/plan/train/stored.parquet").exists()


def test_a_list_of_no_urls_is_no_list(tmp_path: Path, annotations: Path) -> None:
    annotations.write_text(annotations.read_text().replace("http://", "").replace("https://", ""))
    with pytest.raises(ConfigurationError, match=r"none of its .* images has an http or https URL; the first is"):
        run(parameters(tmp_path, annotations))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"split": "test"}, "split 'test': expected one of train, eval"),
        ({"num_shards": 0}, "num_shards 0: expected between 1 and 100,000"),
        ({"max_shards": -1}, "max_shards -1"),
        ({"max_groups": 0}, "max_groups 0"),
        ({"max_groups": 500}, "max_groups 500: expected 1 to 80: the engine"),
        ({"agreement": 0.0}, "agreement 0.0: expected above 0"),
        ({"agreement": 66.7}, "agreement 66.7"),
        ({"max_malformed": 1.5}, "max_malformed 1.5"),
        ({"requests_per_second": 0.0}, "requests_per_second 0.0: expected above 0"),
        ({"task_requests_per_second": float("nan")}, "task_requests_per_second nan"),
        ({"root": "ftp://host/root"}, "ftp:// is not supported"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_line(
    tmp_path: Path, annotations: Path, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        run(parameters(tmp_path, annotations, **change))


def test_a_failed_plan_leaves_no_marker(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("something else\n")
    with pytest.raises(ConfigurationError, match="not an FEC CSV"):
        run(parameters(tmp_path, tmp_path / "a.csv"))
    assert tree(tmp_path / "root") == {}


def test_the_component_plans(tmp_path: Path, annotations: Path) -> None:
    groups = plan.python_func(root=str(tmp_path / "root"), split="train", annotations=str(annotations), num_shards=2)
    assert groups == ["0/2", "1/2"]
    assert len(rows_of(tmp_path, "triplets")) == 30


def test_the_component_says_a_mistake_and_exits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        plan.python_func(root=str(tmp_path / "root"), split="train", annotations=str(tmp_path / "none.csv"))
    assert ended.value.code == 2
    assert "No such file" in capsys.readouterr().err
