"""A storage root with records that can be learned: three drawn "expressions" over pieces of photographs."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import cv2
import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from numpy.typing import NDArray

from fec import layout
from fec.done import Done, write_done
from fec.funnel import Funnel, Outcomes, funnel_path
from fec.records import TripletExample, frame
from fec.storage import open_storage

SIZE = 32
BUCKET = "fec-train"


@functools.cache
def photographs() -> tuple[NDArray[np.uint8], ...]:
    """Photographs as scikit-image packages them, uint8 RGB."""
    import skimage.data

    source: Any = skimage.data
    return tuple(getattr(source, name)() for name in ("astronaut", "chelsea", "coffee"))


def drawn(expression: int, chance: np.random.Generator) -> NDArray[np.uint8]:
    """A face, uint8 RGB: a bar across, a bar down or a square, anywhere, in any bright colour, on a photograph."""
    photograph = photographs()[chance.integers(3)]
    top, left = (chance.integers(side - 2 * SIZE) for side in photograph.shape[:2])
    face = cv2.resize(photograph[top : top + 2 * SIZE, left : left + 2 * SIZE], (SIZE, SIZE)) // 2
    across, down = ((3, 12), (12, 3), (6, 6))[expression]
    x, y = chance.integers(13, SIZE - 12, 2)
    face[y - across : y + across, x - down : x + down] = chance.integers(120, 256, 3)
    return np.asarray(face, np.uint8)


def drawn_triplet(chance: np.random.Generator) -> tuple[list[NDArray[np.uint8]], int]:
    """Three faces, two of them of one expression, and the place (1..3) of the other one."""
    alike, other = (int(expression) for expression in chance.permutation(3)[:2])
    odd = int(chance.integers(3))
    faces = [drawn(alike, chance), drawn(alike, chance)]
    faces.insert(odd, drawn(other, chance))
    return faces, odd + 1


def as_jpeg(face: NDArray[np.uint8]) -> bytes:
    """An RGB face as JPEG bytes."""
    return bytes(cv2.imencode(".jpg", face[:, :, ::-1])[1])


def write_root(
    root: str,
    triplets: int,
    files: int = 2,
    split: str = layout.TRAIN,
    seed: int = 7,
    labels: np.random.Generator | None = None,
) -> None:
    """Records of ``triplets`` triplets in ``files`` files, with the markers training looks for.

    ``labels`` says which face is the odd one, instead of what is drawn.
    """
    storage = open_storage(root)
    chance = np.random.default_rng(seed)
    types = {1: 0, 2: 0, 3: 0}
    for number in range(files):
        content = b""
        count = triplets // files
        for place in range(count):
            faces, odd = drawn_triplet(chance)
            odd = odd if labels is None else int(labels.integers(1, 4))
            kind = place % 3 + 1
            types[kind] += 1
            ids = (f"{number}-{place}-a", f"{number}-{place}-b", f"{number}-{place}-c")
            a, b, c = map(as_jpeg, faces)
            content += frame(TripletExample((a, b, c), ids, odd, kind, [odd] * 6).encode())
        storage.write(layout.record_file(split, number, files), content)
        counts, details = {"triplets": count, "bytes": len(content)}, {"image_size": SIZE, "collect": "c"}
        marker = Done("datagen", f"f{number}", f"d{number}-{triplets}", counts, details)
        write_done(storage, layout.record_done_dir(split, number, files), marker)
    by_type = {str(kind): count for kind, count in types.items()}
    funnel = Funnel(1, 1, 1, 1, triplets, triplets, triplets, files, 0, by_type, Outcomes({}, {}))
    storage.write(funnel_path(split), funnel.to_bytes())
    write_done(storage, layout.collect_dir(split), Done("collect", "f", "c", {"record_shards": files}))


@pytest.fixture(scope="session")
def records_of_600(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of 600 learnable triplets, not to be written to."""
    root = tmp_path_factory.mktemp("learnable") / "root"
    write_root(str(root), 600)
    return root


@pytest.fixture
def learnable(records_of_600: Path, tmp_path: Path) -> Path:
    """A root of 600 learnable triplets."""
    return Path(shutil.copytree(records_of_600, tmp_path / "root"))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket as a storage root, on a server of its own."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    yield f"s3://{BUCKET}/root"
    server.stop()
