"""A small root of both splits with everything but a model."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from fec.layout import SPLITS
from pipelines.folders.drawing import drawn_triplets
from pipelines.folders.pictures import pictures_of
from pipelines.folders.root import write_root

SIZE: Final = 24
# Bytes that are left of the picture that cannot be read.
BROKEN: Final = 40


def make_root(folder: Path) -> Path:
    """A root of pictures in two class folders, one of which cannot be read in each split."""
    chance = np.random.default_rng(0)
    for split in SPLITS:
        for label in ("glad", "sad"):
            (folder / split / label).mkdir(parents=True)
            for number in range(5):
                path = folder / split / label / f"{split}{number}.png"
                cv2.imwrite(str(path), chance.integers(0, 255, (SIZE, SIZE, 3)))
        path.write_bytes(path.read_bytes()[:BROKEN])
    drawn = {split: drawn_triplets(pictures_of(folder / split), 30, seed=0) for split in SPLITS}
    write_root(folder / "root", drawn, image_size=16)
    return folder / "root"
