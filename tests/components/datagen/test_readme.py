"""The README's recipes for tf.data run as they stand."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from components.collect import step as collect
from components.datagen import step as datagen
from tests.components.collect.scene import Scene, write

README = Path(datagen.__file__).with_name("README.md").read_text()


def test_both_recipes_give_the_same_triplets(tmp_path: Path) -> None:
    write(tmp_path, Scene.of(60))
    collect.run(collect.Parameters(str(tmp_path), "train", record_shards=2))
    datagen.run(datagen.Parameters(str(tmp_path), "train", "0/1", layout="both"))
    inside, apart = (
        recipe.replace("ROOT", str(tmp_path)) for recipe in re.findall(r"```python\n(.*?)```", README, re.S)
    )
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    exec(inside, first)
    exec(apart, second)
    whole = {
        (example["image/a"], example["image/b"], example["image/c"], example["triplet_code"], example["type"])
        for example in first["triplets"].as_numpy_iterator()
    }
    assert {(*images, odd, kind) for images, odd, kind in second["triplets"].as_numpy_iterator()} == whole
    assert len(whole) == 60
    assert np.all([image.startswith(b"\xff\xd8") for image in second["images"].numpy()])
