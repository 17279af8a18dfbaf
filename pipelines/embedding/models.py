"""Where a model is, by what a person calls it: a run below a root, a root, a folder, a bucket, or a .keras file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fec.errors import ConfigurationError
from fec.model_card import ModelCard
from fec.storage import Storage, open_storage

_NETWORK: Final = "model.keras"
_CARD: Final = "model.json"
_EXPECTED: Final = "give ROOT/models/RUN, a root with one run, or a .keras file"


@dataclass(frozen=True)
class ModelPlace:
    """A stored network, ``path`` in ``storage``; its card, if it has one beside it; the run's name, if it is of one."""

    storage: Storage
    path: str
    card: ModelCard | None
    run: str

    @property
    def shown(self) -> str:
        """The place as a person would give it."""
        return f"{self.storage.root}/{self.path}"


def find_model(model: str) -> ModelPlace:
    """The network that ``model`` names; ConfigurationError where there is none, or more than one."""
    folder, _, name = model.rstrip("/").rpartition("/")
    if name.endswith(".keras"):
        storage = _opened(model, folder or ("/" if model.startswith("/") else "."))
        if storage.size(name) is None:
            raise ConfigurationError(f"model {model}: no such file; {_EXPECTED}")
        return _place(storage, name)
    storage = _opened(model, model)
    if storage.size(_NETWORK) is not None:
        return _place(storage, _NETWORK)
    runs = sorted(
        entry.path.removeprefix("models/").removesuffix(f"/{_NETWORK}")
        for entry in storage.list("models")
        if entry.path.endswith(f"/{_NETWORK}")
    )
    if not runs:
        raise ConfigurationError(f"model {model}: there is no {_NETWORK} there, and no run below models/; {_EXPECTED}")
    if len(runs) > 1:
        raise ConfigurationError(f"model {model}: it has several runs, name one: " + ", ".join(_below(model, runs)))
    return _place(storage, f"models/{runs[0]}/{_NETWORK}")


def _opened(model: str, folder: str) -> Storage:
    try:
        return open_storage(folder, read_only=True)
    except ConfigurationError as error:
        raise ConfigurationError(f"model {model}: {error}; {_EXPECTED}") from None


def _below(model: str, runs: list[str]) -> list[str]:
    return [f"{model.rstrip('/')}/models/{run}" for run in runs]


def _place(storage: Storage, path: str) -> ModelPlace:
    folder = path.rpartition("/")[0]
    about = f"{folder}/{_CARD}".lstrip("/")
    try:
        card = ModelCard.parse(storage.read(about))
    except FileNotFoundError:
        card = None
    except ValueError as error:
        raise ConfigurationError(f"{storage.root}/{about}: {error}; restore it, or remove it to use defaults") from None
    return ModelPlace(storage, path, card, (folder or storage.root).rpartition("/")[2])
