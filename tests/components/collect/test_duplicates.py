"""What a split has under several URLs is counted, and what train shares with eval can be left out of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.collect.step import Parameters, run
from fec import layout, tables
from fec.errors import RunFailed
from fec.funnel import Leaks, Repeated, read_funnel
from fec.outcomes import FaceOutcome
from fec.storage import open_storage
from tests.components.collect.scene import Scene, contents, write

VOTES = (1, 1, 1)


def look(number: int, turned: int = 0) -> bytes:
    """The look of one of many different pictures, with some bits turned."""
    value = bytes((number * 97 + 31 * byte + byte * byte * number) % 256 for byte in range(32))
    return bytes(byte ^ (0xFF if at < turned // 8 else 0) for at, byte in enumerate(value))


def mirror_of(look: bytes) -> bytes:
    return bytes(byte ^ 0xAA for byte in look)


TRAIN = Scene(
    10,
    [((0, 2, 4), 1, VOTES, 1), ((6, 8, 9), 1, VOTES, 1), ((1, 8, 9), 1, VOTES, 1), ((6, 8, 9), 1, (1, 2, 3), None)],
    {1: FaceOutcome.NO_FACE},
    pictures={0: ("a", look(0)), 1: ("b", look(1)), 2: ("c", look(2)), 3: ("d", look(3)), 4: ("e", None)},
    crops={4: look(4), 6: look(6), 8: look(8)},
)
# Image 0 has the bytes of train's 0, image 1 looks like train's 1, face 4 of image 2 like the mirror
# image of train's face 4.
EVAL = Scene(
    8,
    [((0, 2, 4), 1, VOTES, 1)],
    pictures={0: ("a", look(0)), 1: ("x", look(1, 24)), 2: ("y", look(12)), 3: ("z", look(13))},
    crops={4: mirror_of(look(4, 16)), 6: look(7)},
    host="others.example",
)


def written(root: Path) -> None:
    write(root, EVAL, layout.EVAL)
    write(root, TRAIN)


def collect(root: Path, split: str = layout.TRAIN, **options: Any) -> None:
    run(Parameters(str(root), split, **options))


def lines(root: Path) -> list[int]:
    table = tables.read_table(open_storage(str(root)), "collect/train/triplets.parquet")
    return sorted(table["line"].to_pylist())


def test_what_eval_has_as_well_is_counted_and_named(tmp_path: Path) -> None:
    written(tmp_path)
    collect(tmp_path)
    funnel = read_funnel(open_storage(str(tmp_path)), layout.TRAIN)
    # Faces 0 of image 0, 2 and 3 of image 1, 4 by its crop; face 1 is not ok. Only the first triplet has any of them.
    assert funnel.leaks == Leaks(same_bytes=1, alike=1, faces=4, triplets=1, dropped=False)
    leaks = tables.read_table(open_storage(str(tmp_path)), "collect/train/leaks.parquet").to_pylist()
    number = TRAIN.number_of()
    assert {number[row["face_id"]]: (row["kind"], row["bits"]) for row in leaks} == {
        0: ("bytes", 0),
        2: ("image", 24),
        3: ("image", 24),
        4: ("crop", 16),
    }
    assert lines(tmp_path) == [1, 2]


def test_leaks_are_dropped_from_train_where_that_is_asked_for_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    collect(tmp_path, drop_leaks=True)
    assert lines(tmp_path) == [2]
    funnel = read_funnel(open_storage(str(tmp_path)), layout.TRAIN)
    assert funnel.leaks == Leaks(same_bytes=1, alike=1, faces=4, triplets=1, dropped=True)
    assert (funnel.triplets_ok, funnel.records, funnel.no_consensus) == (3, 1, 1)
    assert "faces of train that eval has as well: 4 (triplets left out: 1)" in capsys.readouterr().err
    collect(tmp_path, layout.EVAL, drop_leaks=True)
    assert read_funnel(open_storage(str(tmp_path)), layout.EVAL).records == 1


@pytest.mark.parametrize(("alike", "found"), [(31, (1, 4)), (24, (1, 4)), (23, (0, 2)), (16, (0, 2)), (15, (0, 1))])
def test_how_much_alike_is_for_the_user_to_say(tmp_path: Path, alike: int, found: tuple[int, int]) -> None:
    written(tmp_path)
    collect(tmp_path, alike=alike)
    leaks = read_funnel(open_storage(str(tmp_path)), layout.TRAIN).leaks
    assert leaks is not None and (leaks.alike, leaks.faces) == found


def test_dropping_leaks_needs_eval(tmp_path: Path) -> None:
    write(tmp_path, TRAIN)
    with pytest.raises(RunFailed, match="run plan, download and faces of eval first"):
        collect(tmp_path, drop_leaks=True)


def test_without_eval_nobody_looked_and_with_it_somebody_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, TRAIN)
    collect(tmp_path)
    before = contents(tmp_path, "collect/train")
    assert json.loads(before["collect/train/funnel.json"])["leaks"] is None
    assert "nobody looked whether train has the same" in capsys.readouterr().err
    write(tmp_path, EVAL, layout.EVAL)
    collect(tmp_path)
    after = contents(tmp_path, "collect/train")
    assert json.loads(after["collect/train/funnel.json"])["leaks"]["faces"] == 4
    digests = [json.loads(files["collect/train/_DONE.json"])["digest"] for files in (before, after)]
    assert digests[0] == digests[1]


def test_what_a_split_has_more_than_once_is_counted(tmp_path: Path) -> None:
    scene = Scene(
        12,
        [((0, 2, 4), 1, VOTES, 1)],
        {3: FaceOutcome.NO_FACE},
        pictures={0: ("a", look(0)), 1: ("a", look(0)), 2: ("b", look(0, 8)), 3: ("c", look(3)), 4: ("d", look(4))},
        # Faces 8 and 9 are of one photograph; 6 and 10 are not.
        crops={8: look(20), 9: look(20, 8), 6: look(21), 10: look(21)},
    )
    write(tmp_path, scene)
    collect(tmp_path)
    funnel = read_funnel(open_storage(str(tmp_path)), layout.TRAIN)
    assert funnel.repeated == Repeated(same_bytes=2, alike=1, faces=5 + 2)


def test_manifests_of_an_earlier_version_have_no_looks_to_compare(tmp_path: Path) -> None:
    written(tmp_path)
    storage = open_storage(str(tmp_path))
    for split in layout.SPLITS:
        for shard in range(2):
            path = f"{layout.faces_dir(split, shard)}/{layout.FACES_TABLE}"
            table = tables.read_table(storage, path)
            later = ["image_sha256", "image_likeness", "crop_likeness"]
            tables.write_table(storage, path, table.drop_columns(later))
    collect(tmp_path)
    funnel = read_funnel(storage, layout.TRAIN)
    assert funnel.leaks == Leaks(0, 0, 0, 0, dropped=False)
    assert funnel.repeated == Repeated(0, 0, 0)


def test_the_leaks_are_the_same_whatever_the_shards(tmp_path: Path) -> None:
    found = []
    for shards in (1, 3):
        root = tmp_path / str(shards)
        write(root, EVAL, layout.EVAL, shards=shards)
        write(root, TRAIN, shards=4 - shards)
        collect(root)
        files = contents(root, "collect/train")
        found.append((files["collect/train/leaks.parquet"], files["collect/train/funnel.json"]))
    assert found[0] == found[1]
