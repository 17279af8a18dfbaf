"""Tensor2Tensor's checkpoints of a training, kept so that another machine too goes on from them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from fec.progress import event
from fec.storage import Storage

# TensorFlow's file that names the last checkpoint; it is written when the checkpoint is whole.
STATE: Final = "checkpoint"
_LAST: Final = re.compile(r'^model_checkpoint_path: "(?:.*/)?(model\.ckpt-(\d+))"', re.MULTILINE)


class TrainerCheckpoints:
    """The checkpoints in ``folder``, where t2t-trainer writes them, and, for a remote root, below ``directory`` too."""

    def __init__(self, storage: Storage, directory: str, fingerprint: str, folder: Path) -> None:
        self._storage, self._folder = storage, folder
        self._parent, self._directory = directory, f"{directory}/{fingerprint[:16]}"
        self._remote = not storage.local
        self._kept = ""

    def bring(self) -> None:
        """Have the last checkpoint in the folder, if there is one anywhere."""
        if self._remote and self.last() is None:
            entries = list(self._storage.list(self._directory))
            # The file that names the others comes last.
            for entry in sorted(entries, key=lambda entry: entry.path.endswith(f"/{STATE}")):
                with self._storage.local_copy(entry.path) as file:
                    shutil.copyfile(file, self._folder / entry.path.rpartition("/")[2])
        if (last := self.last()) is not None:
            event("resumed", f"training goes on after step {last[1]}", step=last[1])

    def last(self) -> tuple[list[Path], int] | None:
        """The files of the last whole checkpoint and its step, or None."""
        try:
            found = _LAST.search((self._folder / STATE).read_text())
        except FileNotFoundError:
            return None
        files = sorted(self._folder.glob(f"{found[1]}.*")) if found else []
        return (files, int(found[2])) if found and files else None

    def keep(self) -> None:
        """Store the last checkpoint where the root is, if it is a remote one and has not got it yet."""
        last = self.last() if self._remote else None
        if last is None or last[0][0].stem == self._kept:
            return
        files, _ = last
        try:
            data = {f"{self._directory}/{file.name}": file.read_bytes() for file in files}
        except FileNotFoundError:  # replaced by a later one
            return
        for path, content in data.items():
            self._storage.write(path, content)
        self._storage.write(f"{self._directory}/{STATE}", state_of(files))
        for entry in list(self._storage.list(self._directory)):
            if entry.path not in data and not entry.path.endswith(f"/{STATE}"):
                self._storage.delete(entry.path)
        self._kept = files[0].stem

    def forget(self) -> None:
        """Remove what the root has of the run's unfinished trainings, those of other parameters too."""
        if self._remote:
            for entry in list(self._storage.list(self._parent)):
                self._storage.delete(entry.path)


def state_of(files: list[Path]) -> bytes:
    """What TensorFlow's ``checkpoint`` file says where the checkpoint of ``files`` is the only one."""
    return f'model_checkpoint_path: "{files[0].stem}"\n'.encode()
