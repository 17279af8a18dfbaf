"""The state of a training, kept so that another process, on another machine too, goes on from there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from components.train.devices import ALONE, Hosts
from fec.history import History
from fec.progress import event
from fec.storage import Storage

STATE = "state.json"
BEST = "best.weights.h5"


@dataclass
class TrainingState:
    """Steps done, their curves, and the sums of loss, accuracy and share of active triplets since the last point."""

    step: int = 0
    history: History = field(default_factory=History)
    since: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Checkpoints:
    """Weights, optimizer and state of the training ``fingerprint`` in ``folder`` and, for a remote root, there too.

    ``state.json`` names the weights it belongs to and is put last, so it is never ahead of them. Of several ``hosts``
    all go on from what the chief has stored.
    """

    def __init__(self, storage: Storage, directory: str, fingerprint: str, folder: Path, hosts: Hosts = ALONE) -> None:
        self._storage, self._folder, self._hosts = storage, folder, hosts
        self._parent, self._directory = directory, f"{directory}/{fingerprint[:16]}"
        self._remote = not storage.local

    @property
    def best(self) -> Path:
        """Where the network of the best held-out accuracy lies, if there is one."""
        return self._folder / BEST

    def save(self, model: Any, state: TrainingState) -> None:
        """Store ``model`` (weights, and its optimizer's) as it is after ``state.step`` steps.

        If that is the best step so far, its network is kept as ``best`` too.
        """
        if self._hosts.number:
            return
        weights = self._folder / f"{state.step}.weights.h5"
        model.save_weights(weights)
        if state.history.best == state.step > 0:
            aside = self._folder / f"new-{BEST}"
            model.network.save_weights(aside)
            aside.replace(self.best)
            if self._remote:
                self._storage.write(f"{self._directory}/{BEST}", self.best.read_bytes())
        content = json.dumps(asdict(state)).encode()
        if self._remote:
            self._storage.write(f"{self._directory}/{weights.name}", weights.read_bytes())
            self._storage.write(f"{self._directory}/{STATE}", content)
            for entry in list(self._storage.list(self._directory)):
                if entry.path.endswith(".weights.h5") and not entry.path.endswith((f"/{weights.name}", f"/{BEST}")):
                    self._storage.delete(entry.path)
        temporary = self._folder / f"{STATE}.new"
        temporary.write_bytes(content)
        temporary.replace(self._folder / STATE)
        for old in self._folder.glob("*.weights.h5"):
            if old not in (weights, self.best):
                old.unlink()

    def step(self) -> int:
        """The step of the last checkpoint; 0 where there is none, or none that can be read."""
        if self._remote and (self._hosts.count > 1 or not (self._folder / STATE).exists()):
            self._fetch()
        try:
            return int(json.loads((self._folder / STATE).read_bytes())["step"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def restore(self, model: Any) -> TrainingState:
        """Load the last checkpoint into ``model``; where there is none, or none that can be read, the start."""
        if self._remote and (self._hosts.count > 1 or not (self._folder / STATE).exists()):
            self._fetch()
        try:
            value = json.loads((self._folder / STATE).read_bytes())
            loss, accuracy, active = map(float, value["since"])
            state = TrainingState(int(value["step"]), History(**value["history"]), (loss, accuracy, active))
            model.load_weights(self._folder / f"{state.step}.weights.h5")
        except FileNotFoundError:
            return TrainingState()
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"the checkpoint cannot be read ({type(error).__name__}): training starts anew"
            event("checkpoint_lost", message, severity="WARNING")
            raise SpoiledCheckpoint from error
        event("resumed", f"training goes on after step {state.step}", step=state.step)
        return state

    def forget(self) -> None:
        """Remove every checkpoint of the run, those of other parameters too."""
        for path in self._folder.glob("*"):
            if path.name == STATE or path.name.endswith(".weights.h5"):
                path.unlink()
        if self._remote:
            for entry in list(self._storage.list(self._parent)):
                self._storage.delete(entry.path)

    def _fetch(self) -> None:
        try:
            state = self._storage.read(f"{self._directory}/{STATE}")
            name = f"{int(json.loads(state)['step'])}.weights.h5"
            names = [name, BEST] if json.loads(state)["history"]["held_out_steps"] else [name]
            for name in names:
                (self._folder / name).write_bytes(self._storage.read(f"{self._directory}/{name}"))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return
        (self._folder / STATE).write_bytes(state)


class SpoiledCheckpoint(Exception):
    """A checkpoint that could not be read, after which the model may be half loaded."""
