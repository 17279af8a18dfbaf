"""A whole small run up to its records, over the demo's own site, with a model that was not trained at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.collect import step as collect
from components.datagen import step as datagen
from components.download import step as download
from components.faces import step as faces
from components.plan import step as plan
from components.train.models import Shape, tiny
from fec import layout
from fec.done import Done, write_done
from fec.model_card import ModelCard, Preprocessing, card_path
from fec.storage import open_storage
from pipelines.demo.scenario import scenario
from pipelines.demo.site import serve

RUN = "untrained"


@pytest.fixture(scope="session")
def finished_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with everything but the report."""
    folder = tmp_path_factory.mktemp("evaluate")
    root = str(folder / "root")
    with serve(scenario(portraits=20, train_triplets=60, eval_triplets=60)) as site:
        for split, csv in site.write_csvs(folder / "csv").items():
            plan.run(plan.Parameters(root=root, split=split, annotations=str(csv), num_shards=2))
            download.run(download.Parameters(root=root, split=split, group="0/1", allow_network=("127.0.0.0/8",)))
            faces.run(faces.Parameters(root=root, split=split, group="0/1"))
            collect.run(collect.Parameters(root=root, split=split))
            datagen.run(datagen.Parameters(root=root, split=split, group="0/1", image_size=32))
    store_model(root, RUN, {"steps": [10, 20], "loss": [0.3, 0.2], "triplet_accuracy": [0.4, 0.6]})
    return Path(root)


def store_model(root: str, run: str, history: dict[str, list[float]], *, collapsed: bool = False) -> None:
    """An untrained network where the train step would have put a trained one.

    ``collapsed``: every face gives the same vector but for its last bits.
    """
    storage = open_storage(root)
    directory = layout.model_dir(run)
    model = storage.workspace("model") / "model.keras"
    network = tiny(Shape(32))
    if collapsed:
        kernel, bias = network.get_layer("embedding").get_weights()
        network.get_layer("embedding").set_weights([kernel * 1e-5, bias + 1.0])
    network.save(model)
    storage.write_file(f"{directory}/model.keras", model)
    storage.remove_workspace("model")
    storage.write(f"{directory}/history.json", json.dumps(history).encode())
    about = {"parameters": {"model": "tiny"}, "versions": {"keras": "<3>"}, "triplets": 40, "image_size": 32}
    storage.write(f"{directory}/train.json", json.dumps(about).encode())
    card = ModelCard(run, "tiny", "0" * 64, 16, Preprocessing(32), accuracy={"held_out": 0.5})
    storage.write(card_path(run), card.to_bytes())
    marker = Done("train", "f" * 64, "d" * 64, {"parameters": 290_416}, {"image_size": 32})
    write_done(storage, directory, marker)
