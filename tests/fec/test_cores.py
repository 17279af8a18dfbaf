"""How many cores a process may use."""

import os
from pathlib import Path

import pytest

from fec.cores import available_cores

ALL = len(os.sched_getaffinity(0))


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == ALL


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", ALL),
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("150000 100000", min(ALL, 2)),
        ("9900000 100000", ALL),
        ("nonsense", ALL),
    ],
)
def test_a_container_has_its_quota(tmp_path: Path, limit: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert available_cores(tmp_path) == expected


@pytest.mark.parametrize(("limit", "expected"), [("-1", ALL), ("100000", 1)])
def test_an_older_container_too(tmp_path: Path, limit: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(limit + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores(tmp_path) == expected
