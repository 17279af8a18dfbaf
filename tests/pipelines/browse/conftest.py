"""A small root with a model that was not trained, and the pages over it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI

from components.collect import step as collect
from components.download import step as download
from components.faces import step as faces
from components.plan import step as plan
from components.train.models import Shape, tiny
from fec import layout, tables
from fec.embeddings import Embeddings, write_embeddings
from fec.storage import Storage, open_storage
from pipelines.browse import server
from pipelines.browse.app import application
from pipelines.browse.index import Index, build
from pipelines.browse.space import Space, read_space
from pipelines.demo.scenario import scenario
from pipelines.demo.site import serve

RUN = "untrained"


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """A root with everything that is browsed: a plan, originals, faces, a collection, a network and its embeddings."""
    folder = tmp_path_factory.mktemp("browse")
    root = str(folder / "root")
    with serve(scenario(portraits=12, train_triplets=60, eval_triplets=30)) as site:
        for split, csv in site.write_csvs(folder / "csv").items():
            plan.run(plan.Parameters(root=root, split=split, annotations=str(csv), num_shards=2))
            download.run(download.Parameters(root=root, split=split, group="0/1", allow_network=("127.0.0.0/8",)))
            faces.run(faces.Parameters(root=root, split=split, group="0/1"))
            collect.run(collect.Parameters(root=root, split=split))
    found = open_storage(root)
    _embed(found)
    return found


def _embed(storage: Storage) -> None:
    """A network's file, and vectors by chance of the faces that triplets use."""
    path = storage.workspace("model") / "model.keras"
    tiny(Shape(32)).save(path)
    storage.write_file(f"{layout.model_dir(RUN)}/model.keras", path)
    storage.remove_workspace("model")
    ids: list[str] = []
    images: list[str] = []
    splits: list[str] = []
    for split in layout.SPLITS:
        table = tables.read_table(storage, f"{layout.collect_dir(split)}/{layout.FACES_TABLE}")
        ids += table["face_id"].to_pylist()
        images += table["image_id"].to_pylist()
        splits += [split] * len(table)
    vectors = np.random.default_rng(3).normal(size=(len(ids), 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    write_embeddings(storage, RUN, Embeddings(ids, images, splits, vectors.astype(np.float32)))


@pytest.fixture(scope="session")
def space(storage: Storage) -> Space:
    found = read_space(storage, "")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def index(storage: Storage, space: Space) -> Index:
    return build(storage, space)


@pytest.fixture(scope="session")
def app(storage: Storage, index: Index, space: Space) -> FastAPI:
    return application(storage, index, space)


@pytest.fixture(scope="session")
def address(app: FastAPI) -> Iterator[str]:
    """Where the pages are served, as ``fec browse`` serves them."""
    with serving(app) as url:
        yield url


class serving:  # noqa: N801 - used as a function
    """The application on loopback while the context lasts."""

    def __init__(self, app: FastAPI) -> None:
        self._socket = server.listening(0)
        self._up = threading.Event()
        self._server = server.Server(app, self._up.set)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        assert self._up.wait(30)
        return f"http://{server.HOST}:{self._socket.getsockname()[1]}"

    def __exit__(self, *unused: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@pytest.fixture(scope="session")
def photograph() -> Path:
    """A photograph with one face."""
    import skimage.data

    return Path(str(skimage.data.__file__)).parent / "astronaut.png"
