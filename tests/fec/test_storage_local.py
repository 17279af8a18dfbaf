"""What holds of a folder beyond the contract: kills, leftovers, several writers, what a user may get wrong."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fec.errors import ConfigurationError, RunFailed
from fec.storage import LocalStorage, open_storage


def started(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    writer = started(
        "import sys; from fec.storage import open_storage; storage = open_storage(sys.argv[1])\n"
        "storage.write('a/file', b'0' * 500_000); print('ready', flush=True)\n"
        "for i in range(1, 10**9): storage.write('a/file', str(i % 10).encode() * 500_000, durable=False)",
        str(tmp_path),
    )
    storage = open_storage(str(tmp_path))
    seen: set[bytes] = set()
    reads = 0
    while reads < 100 or len(seen) < 2:  # a busy machine may let the writer wait
        reads += 1
        data = storage.read("a/file")
        assert data == data[:1] * 500_000
        seen.add(data[:1])
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert len(storage.read("a/file")) == 500_000


def test_what_a_killed_process_was_putting_goes_when_the_root_is_opened_again(tmp_path: Path) -> None:
    victim = started(
        "import sys, time; from fec.storage import LocalStorage\n"
        "with LocalStorage(sys.argv[1])._putting('a') as (file, _):\n"
        "    file.write(b'half'); file.flush(); print('ready', flush=True); time.sleep(60)",
        str(tmp_path),
    )
    open_storage(str(tmp_path))
    assert len(list((tmp_path / ".work").iterdir())) == 1, "the file of a living process stays"
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    open_storage(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_leaves_no_trace_of_its_work(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.workspace("train/0")
    storage.write("train/0/a", b"1")
    assert storage.write_if_absent("train/0/a", b"2") is False
    storage.remove_workspace("train/0")
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_many_writers_do_not_trip_over_each_other(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    won: list[int] = []

    def write(number: int) -> None:
        for i in range(30):
            storage.write(f"{i % 3}/{number}-{i}", bytes(50), durable=False)
            LocalStorage(str(tmp_path))
            storage.workspace(f"w/{number}")
            storage.remove_workspace(f"w/{number}")
        if storage.write_if_absent("won", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(1 for i in range(3) for _ in storage.list(str(i))) == 8 * 30
    assert won == [int(storage.read("won"))]
    assert not (tmp_path / ".work").exists()


def test_a_file_from_another_file_system_is_copied_first(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    source = other / f"fec-test-{os.getpid()}-{time.monotonic_ns()}"
    source.write_bytes(b"bytes")
    storage = open_storage(str(tmp_path))
    storage.write_file("a/b", source)
    assert storage.read("a/b") == b"bytes"
    assert not source.exists()


def test_files_can_be_read_by_others(tmp_path: Path) -> None:
    open_storage(str(tmp_path)).write("a", b"1")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_root_below_a_file_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"cannot be written \(Not a directory\)"):
        open_storage(str(tmp_path / "file" / "root"))


def test_a_disk_that_takes_no_more_fails_the_run_in_one_line(tmp_path: Path) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource, sys; from fec.command import reported; from fec.storage import open_storage\n"
            "storage = open_storage(sys.argv[1]); storage.write('a/b', b'whole')\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "with reported(): storage.write('a/b', bytes(5000))",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == RunFailed.exit_code
    assert "a/b could not be written below" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "b").read_bytes() == b"whole"


@pytest.mark.parametrize(("lacking", "says"), [("link", "takes no hard links"), ("touch", "takes no names such as a@")])
def test_a_file_system_that_takes_no_links_or_names_is_told_when_the_root_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str, says: str
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os if lacking == "link" else Path, lacking, refused)
    with pytest.raises(ConfigurationError, match=says):
        open_storage(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    open_storage("~/root").write("a", b"1")
    assert (tmp_path / "root" / "a").read_bytes() == b"1"


def test_read_only_makes_and_tidies_nothing(tmp_path: Path) -> None:
    leftover = tmp_path / "root" / ".work" / "put-left"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    open_storage(str(tmp_path / "root"), read_only=True)
    assert leftover.exists()
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        open_storage(str(tmp_path / "nowhere"), read_only=True)
    assert not (tmp_path / "nowhere").exists()
