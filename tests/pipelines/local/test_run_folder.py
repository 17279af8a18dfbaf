"""One run at a time on a root, and nothing of it left behind."""

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fec.errors import ConfigurationError, RunFailed
from pipelines.local import run_folder as module
from pipelines.local.run_folder import run_folder


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_run_that_ends_well_leaves_nothing(own_temporary_folder: Path) -> None:
    with run_folder("/data") as folder:
        (folder.temporary / "tmp.123").mkdir()
        folder.log.write_text("said")
    assert list(own_temporary_folder.iterdir()) == []


def test_a_run_that_fails_leaves_its_log_until_the_next() -> None:
    with pytest.raises(RunFailed), run_folder("/data") as folder:
        folder.log.write_text("said")
        raise RunFailed("no")
    assert folder.log.read_text() == "said"
    with run_folder("/data"):
        assert not folder.log.exists()


def test_unfinished_work_on_a_remote_root_is_kept_for_the_next_run() -> None:
    with pytest.raises(RunFailed), run_folder("gs://bucket") as folder:
        for name in ("fec-0-abc/images", "tmp.123", "fec-0-abc/plan"):
            (folder.temporary / name).mkdir(parents=True)
        raise RunFailed("no")
    with run_folder("gs://bucket") as folder:
        assert sorted(path.name for path in folder.temporary.rglob("*")) == ["fec-0-abc", "images", "plan"]


def test_roots_do_not_hold_each_other_up() -> None:
    with run_folder("/data/a") as one, run_folder("/data/b") as other:
        assert one.path != other.path


def test_a_second_run_on_the_same_root_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with run_folder(str(tmp_path)), pytest.raises(RunFailed, match="another run works on"):  # noqa: SIM117
        with run_folder(f"{tmp_path}/./"):
            pass


def test_what_inherits_the_lock_holds_the_root_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with run_folder("/data") as folder:
        lock = os.dup(folder.lock)
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock])
        os.close(lock)
        file = folder.path.with_suffix(".lock")
        os.link(file, f"{file}-kept")  # as if the run had been killed: its lock file stays
    Path(f"{file}-kept").rename(file)
    try:
        with pytest.raises(RunFailed, match="another run works on"), run_folder("/data"):
            pass
        child.communicate(b"\n", timeout=10)
        with run_folder("/data") as folder, pytest.raises(BlockingIOError):
            fcntl.flock(os.open(file, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        child.kill()
        child.wait()


def test_a_link_laid_in_its_way_is_not_followed(own_temporary_folder: Path, tmp_path: Path) -> None:
    with run_folder("/data") as folder:
        pass
    target = tmp_path / "mine"
    target.write_text("precious")
    folder.path.with_suffix(".lock").symlink_to(target)
    with pytest.raises(ConfigurationError, match="remove it"), run_folder("/data"):
        pass
    assert target.read_text() == "precious"
