"""A root of portraits with records and an untrained network, and photographs of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fec import layout, model_card
from fec.model_card import ModelCard, Preprocessing
from fec.storage import open_storage
from pipelines.demo.photographs import group_portrait, portrait
from pipelines.embedding.embedder import Embedder, load_embedder
from pipelines.folders.drawing import drawn_triplets
from pipelines.folders.pictures import pictures_of
from pipelines.folders.root import write_root

RUN = "untrained"
SIZE = 16


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose crops are whole pictures, and a network of 16 pixels."""
    import keras

    from components.train.models import Shape, tiny

    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("embedding")
    for split in layout.SPLITS:
        for person in ("astronaut", "admiral"):
            (folder / split / person).mkdir(parents=True)
            for seed in range(3):
                (folder / split / person / f"{split}{seed}.jpg").write_bytes(portrait(person, seed).data)
    drawn = {split: drawn_triplets(pictures_of(folder / split), 12, seed=0) for split in layout.SPLITS}
    write_root(folder / "root", drawn, image_size=SIZE)
    storage = open_storage(str(folder / "root"))
    (folder / "root" / layout.model_dir(RUN)).mkdir(parents=True)
    tiny(Shape(SIZE)).save(folder / "root" / layout.model_dir(RUN) / "model.keras")
    card = ModelCard(RUN, "tiny", "0" * 64, 16, Preprocessing(SIZE))
    storage.write(model_card.card_path(RUN), card.to_bytes())
    return folder / "root"


@pytest.fixture(scope="session")
def mirrored_model(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored network that averages what that of ``root`` gives of a face and of its mirror image."""
    import keras

    from components.train.models import mirrored

    path = tmp_path_factory.mktemp("mirrored") / "model.keras"
    mirrored(keras.saving.load_model(root / layout.model_dir(RUN) / "model.keras"), SIZE).save(path)
    return path


@pytest.fixture(scope="session")
def embedder(root: Path) -> Embedder:
    return load_embedder(root)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two portraits, one of two people, a picture without a face, and a text."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "one.jpg").write_bytes(portrait("astronaut", 7).data)
    (folder / "sub").mkdir()
    (folder / "sub" / "other.jpg").write_bytes(portrait("admiral", 3).data)
    (folder / "two.jpg").write_bytes(group_portrait("astronaut", "admiral", 1).data)
    (folder / "broken.jpg").write_bytes(portrait("admiral", 4).data[:999])
    (folder / "notes.txt").write_text("no picture")
    return folder
