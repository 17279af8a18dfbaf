"""A network as a file that holds the same bytes whenever it holds the same network."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np

from fec.errors import RunFailed


def store_model(network: keras.Model, path: Path, image_size: int) -> str:
    """Write ``network`` to ``path``, make sure that it loads as what it is, and give the file's SHA-256 in hex."""
    network.save(path)
    _make_reproducible(path)
    probe = np.random.default_rng(0).uniform(0, 255, (4, image_size, image_size, 3)).astype(np.float32)
    reloaded = keras.saving.load_model(path, compile=False)
    if not np.allclose(network.predict_on_batch(probe), reloaded.predict_on_batch(probe), atol=1e-5):
        raise RunFailed("the stored model gives other embeddings than the trained one: nothing was kept")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _make_reproducible(path: Path) -> None:
    """Rewrite a ``.keras`` archive so that the same model gives the same bytes.

    Keras writes the moment of saving into the metadata, and addresses in memory into the configuration as ids
    of shared objects; ids only have to be equal where objects are the same, so they are numbered instead.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    metadata.pop("date_saved", None)
    members["metadata.json"] = json.dumps(metadata).encode()
    numbers: dict[bytes, int] = {}
    members["config.json"] = re.sub(
        rb'("shared_object_id": )(\d+)',
        lambda match: match[1] + str(numbers.setdefault(match[2], len(numbers) + 1)).encode(),
        members["config.json"],
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])
