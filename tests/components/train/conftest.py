"""A storage root with records that can be learned: three drawn "expressions" on noise."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fec import layout
from fec.done import Done, write_done
from fec.records import TripletExample, frame
from fec.storage import open_storage

SIZE = 32


def drawn(expression: int, noise: np.random.Generator) -> bytes:
    """A face: a bar across, a bar down or a square, each in any colour, on noise."""
    face = noise.integers(0, 90, (SIZE, SIZE, 3), dtype=np.uint8)
    across, down = ((4, 14), (14, 4), (8, 8))[expression]
    x, y = noise.integers(14, SIZE - 14, 2)
    face[y - across : y + across, x - down : x + down] = noise.integers(120, 256, 3)
    return bytes(cv2.imencode(".jpg", face)[1])


def write_root(root: Path, triplets: int, files: int = 2, split: str = layout.TRAIN) -> None:
    """Records of ``triplets`` triplets in ``files`` files, with the markers training looks for."""
    storage = open_storage(str(root))
    noise = np.random.default_rng(7)
    types = {1: 0, 2: 0, 3: 0}
    for number in range(files):
        content = b""
        count = triplets // files
        for place in range(count):
            alike, other = noise.permutation(3)[:2]
            odd = int(noise.integers(3))
            faces = [drawn(alike, noise), drawn(alike, noise)]
            faces.insert(odd, drawn(other, noise))
            kind = place % 3 + 1
            types[kind] += 1
            ids = (f"{number}-{place}-a", f"{number}-{place}-b", f"{number}-{place}-c")
            content += frame(TripletExample((faces[0], faces[1], faces[2]), ids, odd + 1, kind, [odd + 1] * 6).encode())
        storage.write(layout.record_file(split, number, files), content)
        marker = Done("datagen", f"f{number}", f"d{number}-{triplets}", {"triplets": count}, {"image_size": SIZE})
        write_done(storage, layout.record_done_dir(split, number, files), marker)
    storage.write(f"{layout.collect_dir(split)}/funnel.json", json.dumps({"types": types}).encode())
    write_done(storage, layout.collect_dir(split), Done("collect", "f", "d", {"record_shards": files}))


@pytest.fixture
def learnable(tmp_path: Path) -> Path:
    """A root of 600 learnable triplets."""
    write_root(tmp_path / "root", 600)
    return tmp_path / "root"
