"""What is verified while a download is at work is what the step would have made, and is not made again."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.faces import ahead, beside
from components.faces.step import Parameters, run
from fec.done import read_done
from fec.errors import ConfigurationError
from fec.segments import SegmentWriter
from fec.storage import Storage
from fec.storage.gcs import GoogleStorage
from tests.components.faces.scene import Page, downloaded, fetch, finish, output, planned
from tests.components.faces.test_step import ROOT, many, trouble
from tests.fec.conftest import BUCKET, google_emulator, use_google

__all__ = ["google_emulator", "use_google"]

FOLDER = "train/0"
WORK = f".work/{FOLDER}"


def asked(root: Path | str) -> Parameters:
    return Parameters(root=str(root), split="train", workers=1)


def journal(workspace: Path) -> list[dict[str, object]]:
    path = workspace / "early.jsonl"
    lines = path.read_text().splitlines()[1:] if path.exists() else []
    return [json.loads(line) for line in lines]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def at_work(root: Path, pages: list[Page]) -> Iterator[tuple[Storage, SegmentWriter]]:
    """A download that has fetched ``pages`` and not finished: half of them are sealed."""
    storage = planned(root, pages)
    with SegmentWriter(storage, "train", 0) as writer:
        fetch(writer, pages[: len(pages) // 2])
        writer.seal()
        fetch(writer, pages[len(pages) // 2 :])
        yield storage, writer


@contextlib.contextmanager
def verified_ahead(root: Path | str) -> Iterator[None]:
    """While the body lasts, or until no download is at work, faces are verified in a thread."""
    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(ahead.verify_ahead, asked(root))
        yield
        working.result(60)


def test_the_step_finds_what_was_verified_ahead_and_comes_to_the_same_bytes(tmp_path: Path) -> None:
    pages = [*trouble(), *many(6)]
    whole, early = tmp_path / "whole", tmp_path / "early"
    downloaded(whole, pages)
    run(asked(whole))
    fetched = sum(page.data is not None for page in pages)
    with at_work(early, pages) as (storage, writer), verified_ahead(early):
        until(lambda: len(journal(early / WORK)) == fetched)
        assert not (early / FOLDER / "faces.parquet").exists()
        finish(storage, writer, pages)
    before = {path: path.stat().st_mtime_ns for path in (early / FOLDER).glob("cropped@*")}
    run(asked(early))
    assert output(early) == output(whole)
    assert before == {path: path.stat().st_mtime_ns for path in (early / FOLDER).glob("cropped@*")}
    assert not (early / ".work").exists()


def test_an_original_that_is_another_now_is_verified_anew(tmp_path: Path) -> None:
    pages = many(3)
    other = [Page(pages[0].url, pages[0].boxes, pages[2].data), *pages[1:]]
    whole, early = tmp_path / "whole", tmp_path / "early"
    downloaded(whole, pages)
    run(asked(whole))
    with at_work(early, other) as (storage, writer), verified_ahead(early):
        until(lambda: len(journal(early / WORK)) == 3)
        finish(storage, writer, other)
    for segment in (early / "images/train/0").glob("segment-*"):
        segment.unlink()
    with SegmentWriter(storage, "train", 0) as writer:
        fetch(writer, pages)
        finish(storage, writer, pages)
    run(asked(early))
    assert output(early) == output(whole)


def test_a_shard_that_the_step_has_finished_is_left_alone(tmp_path: Path) -> None:
    pages = many(2)
    storage = downloaded(tmp_path, pages)
    run(asked(tmp_path))
    crops = {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
    with SegmentWriter(storage, "train", 0) as writer, verified_ahead(tmp_path):
        fetch(writer, many(1))
        time.sleep(0.5)
        assert crops == {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
        assert not (tmp_path / WORK).exists()
        finish(storage, writer, pages)


def test_what_goes_wrong_is_a_line_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(parameters: Parameters) -> int:
        raise ConfigurationError("no such weights")

    monkeypatch.setattr(beside, "_come_last", lambda: None)
    monkeypatch.setattr(beside, "WORTH", 0.0)
    monkeypatch.setattr(ahead, "verify_ahead", fails)
    with at_work(tmp_path, many(1)):
        assert beside.main(json.dumps({"root": str(tmp_path), "split": "train"})) == 0
    [line] = capfd.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "ahead_ended"
    assert "no such weights" in line


@pytest.mark.usefixtures("use_google")
def test_a_bucket_is_asked_for_nothing_that_is_still_here_nor_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    read: list[str] = []
    for name in ("read", "read_range"):
        plain = getattr(GoogleStorage, name)

        def noted(self: GoogleStorage, path: str, *values: int, plain: Callable[..., bytes] = plain) -> bytes:
            read.append(path)
            return plain(self, path, *values)

        monkeypatch.setattr(GoogleStorage, name, noted)
    pages, root = many(4), f"gs://{BUCKET}/{tmp_path.name}"
    storage = planned(root, pages)
    with SegmentWriter(storage, "train", 0) as writer:
        fetch(writer, pages)
        with verified_ahead(root):
            until(lambda: sum(len(journal(folder)) for folder in storage.workspaces("train")) == 4)
            finish(storage, writer, pages)
    run(asked(root))
    assert read_done(storage, FOLDER) is not None
    assert sum("/cropped@" in entry.path for entry in storage.list(FOLDER)) == 4
    assert not [path for path in read if path.endswith(".tar") or "/cropped@" in path]


@pytest.mark.slow
def test_killed_while_ahead_it_is_as_if_the_step_had_been(tmp_path: Path) -> None:
    pages = many(120)
    whole, early = tmp_path / "whole", tmp_path / "early"
    downloaded(whole, pages)
    run(asked(whole))
    code = (
        "from components.faces.ahead import verify_ahead\nfrom components.faces.parameters import Parameters\n"
        f"verify_ahead(Parameters(root={str(early)!r}, split='train', workers=1))"
    )
    with at_work(early, pages) as (storage, writer):
        for moment in (1, 30, 70):
            process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
            until(lambda moment=moment: len(journal(early / WORK)) >= moment)  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
            process.wait()
        finish(storage, writer, pages)
    done = len(journal(early / WORK))
    assert 70 <= done < 120
    run(asked(early))
    assert output(early) == output(whole)
