"""The journal: what a killed process appended is there, whole, and one process has it at a time."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fec.errors import RunFailed
from fec.journal import Journal

APPEND_FOR_EVER = """
import sys
from pathlib import Path
from fec.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(len(journal.rows), 10**9):
    journal.append({"number": number, "text": "x" * 2000})
    print(number, flush=True)
"""


APPEND_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from fec.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.append({"a": 1})
before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (50, most))
try:
    journal.append({"a": "x" * 100})
except OSError:
    print("refused")
resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
journal.append({"a": 3})
"""


def test_rows_read_back(tmp_path: Path) -> None:
    with Journal(tmp_path / "deep" / "journal") as journal:
        assert journal.rows == []
        journal.append({"a": 1, "b": "é\n"})
        journal.append({"a": None})
    with Journal(tmp_path / "deep" / "journal") as journal:
        assert journal.rows == [{"a": 1, "b": "é\n"}, {"a": None}]


def test_a_process_killed_while_appending_loses_nothing_it_had_appended(tmp_path: Path) -> None:
    known = 0
    for kill_after in (1, 40, 300):
        writer = subprocess.Popen([sys.executable, "-c", APPEND_FOR_EVER, str(tmp_path / "j")], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        for _ in range(kill_after):
            known = int(writer.stdout.readline()) + 1
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        with Journal(tmp_path / "j") as journal:
            assert len(journal.rows) >= known
            assert [row["number"] for row in journal.rows] == list(range(len(journal.rows)))
            known = len(journal.rows)


def test_a_row_that_the_disk_does_not_take_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", APPEND_ON_A_FULL_DISK, str(tmp_path / "j")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "refused\n"
    with Journal(tmp_path / "j") as journal:
        assert journal.rows == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize(
    "torn", [b'{"a": 2', b'{"a": 2}', b'{"a"', b"\xff\xfe", b"\0" * 50, b"0\n", b'{"a": 2}\nnonsense\n{"a": 3}\n']
)
def test_a_torn_end_is_cut_off_and_work_goes_on(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"a": 1}\n' + torn)
    whole = [{"a": 1}, {"a": 2}] if torn.startswith(b'{"a": 2}\n') else [{"a": 1}]
    with Journal(path) as journal:
        assert journal.rows == whole
        journal.append({"a": 9})
    with Journal(path) as journal:
        assert journal.rows == [*whole, {"a": 9}]


def test_a_cleared_journal_is_empty(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.append({"a": 1})
        journal.clear()
        journal.append({"a": 2})
    with Journal(tmp_path / "journal") as journal:
        assert journal.rows == [{"a": 2}]


def test_a_second_process_is_told_in_one_line(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal"), pytest.raises(RunFailed, match="being worked on by another process"):
        Journal(tmp_path / "journal")
    Journal(tmp_path / "journal").close()
