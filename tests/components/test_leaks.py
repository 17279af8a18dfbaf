"""The same photographs under other URLs, from the bytes to the funnel."""

from pathlib import Path

import numpy as np
import pytest

from components.collect import step as collect
from components.faces import step as faces
from components.plan import step as plan
from fec import identity, layout, tables
from fec.done import Done, write_done
from fec.funnel import Leaks, read_funnel
from fec.layout import EVAL, TRAIN
from fec.outcomes import ImageOutcome
from fec.pixels import decode
from fec.segments import SegmentWriter, Tried
from fec.storage import Storage, open_storage
from tests.components.faces.scene import AT, PEOPLE, SCENES, encoded, face_box, photograph

NAMES = (*PEOPLE, *SCENES)


def pictures(name: str) -> list[bytes]:
    """A photograph and its mirror image."""
    rgb = photograph(name)
    return [encoded(rgb, quality=90), encoded(np.ascontiguousarray(rgb[:, ::-1]), quality=90)]


def urls(split: str) -> dict[str, bytes]:
    """Twelve pictures by their URL, which are those of no other split."""
    return {
        f"http://{split}.example/{name}-{side}.jpg": data
        for name in NAMES
        for side, data in zip(("left", "right"), pictures(name), strict=True)
    }


def fetched(root: Path, split: str, originals: dict[str, bytes]) -> Storage:
    """A root in which all ``originals`` are stored; in triplets of the people, and of the scenes."""
    names = list(originals)
    lines = []
    for at in range(0, len(names) - 2, 3):
        box = face_box(names[at].rpartition("/")[2].split("-")[0]) if at < 6 else face_box("hopper")
        cells = [f'"{url}",{box.left},{box.right},{box.top},{box.bottom}' for url in names[at : at + 3]]
        lines.append(",".join([*cells, "ONE_CLASS_TRIPLET", "a", "1", "b", "1", "c", "1"]))
    csv = root.parent / f"{split}.csv"
    csv.write_text("\n".join(lines) + "\n")
    plan.run(plan.Parameters(str(root), split, str(csv), num_shards=1))
    storage = open_storage(str(root))
    with SegmentWriter(storage, split, 0) as writer:
        for url, data in originals.items():
            writer.add(Tried(identity.image_id(url), url, ImageOutcome.FETCHED, "", 1, AT), data, "jpg")
        writer.finish()
    counts = {"fetched": len(originals)}
    write_done(storage, layout.images_dir(split, 0), Done("download", "0" * 64, split, counts))
    faces.run(faces.Parameters(str(root), split, detector="none", workers=1))
    return storage


@pytest.mark.parametrize("quality", [90, 60])
def test_all_twelve_photographs_that_eval_has_under_other_urls_are_seen(tmp_path: Path, quality: int) -> None:
    root = tmp_path / "root"
    evaluation = urls(EVAL)
    fetched(root, EVAL, evaluation)
    train = dict(zip(urls(TRAIN), evaluation.values(), strict=True))
    if quality != 90:
        train = {url: encoded(decode(data, 10**8).rgb, quality=quality) for url, data in train.items()}
    storage = fetched(root, TRAIN, train)
    collect.run(collect.Parameters(str(root), TRAIN))
    found = read_funnel(storage, TRAIN).leaks
    same = (12, 0) if quality == 90 else (0, 12)
    assert found == Leaks(*same, faces=12, triplets=4, dropped=False)
    leaks = tables.read_table(storage, "collect/train/leaks.parquet").to_pylist()
    assert {row["kind"] for row in leaks} == {"bytes" if quality == 90 else "image"}
    other = {
        identity.image_id(url): identity.image_id(eval_url) for url, eval_url in zip(train, evaluation, strict=True)
    }
    assert {row["image_id"]: row["eval_image_id"] for row in leaks} == other
