"""Whole runs: the real command, the real executor, a real web server on loopback."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.demo.scenario import Scenario, scenario
from pipelines.demo.site import Site, serve
from tests.watching import started

TIMEOUT = 150


@dataclass(frozen=True)
class Fec:
    """``fec run`` on a site's annotations: small, few steps, nothing but loopback.

    It is called from the ``folder`` of the annotations, in which lies what must not be imported.
    """

    csvs: dict[str, Path]

    @property
    def folder(self) -> Path:
        return self.csvs["train"].parent

    def command(self, root: Path | str, *more: str) -> list[str]:
        return [
            *(str(Path(sys.executable).with_name("fec")), "run"),
            *("--train-csv", str(self.csvs["train"]), "--eval-csv", str(self.csvs["eval"]), "--root", str(root)),
            *("--allow-network", "127.0.0.0/8", "--requests-per-second", "500"),
            *(
                "--num-train-shards",
                "37",
                "--num-eval-shards",
                "2",
                "--max-groups",
                "3",
                "--train-steps",
                "8",
                "--json",
                *more,
            ),
        ]

    def start(self, root: Path | str, *more: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Started, in a process group of its own."""
        pipe = subprocess.PIPE
        return started(self.command(root, *more), stdout=pipe, stderr=pipe, start_new_session=True, cwd=self.folder)

    def run(self, root: Path | str, *more: str) -> subprocess.CompletedProcess[str]:
        command = self.command(root, *more)
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=self.folder)

    def finish(self, root: Path | str, *more: str) -> dict[str, Any]:
        """Run to the end; the JSON object on the last line."""
        done = self.run(root, *more)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


def digests(root: Path, *parts: str) -> dict[str, str]:
    """SHA-256 of every file below ``root`` whose path has one of ``parts`` in it (none: all)."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and (not parts or any(part in path.relative_to(root).as_posix() for part in parts))
    }


@pytest.fixture(scope="session")
def web() -> Scenario:
    return scenario(portraits=24, train_triplets=60, eval_triplets=24)


@pytest.fixture(scope="module")
def site(web: Scenario) -> Iterator[Site]:
    with serve(web) as running:
        yield running


@pytest.fixture(scope="module")
def fec(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Fec:
    csvs = site.write_csvs(tmp_path_factory.mktemp("annotations"))
    folder = csvs["train"].parent
    for name in ("kfp.py", "random.py", "components/__init__.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("raise SystemExit(f'{__file__} was imported')\n")
    return Fec(csvs)
