"""fec compare: two runs on the same eval triplets, and a refusal where they are not the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fec import layout, tables
from fec.done import Done, write_done
from fec.embeddings import Embeddings, write_embeddings
from fec.rows import CollectedTriplet
from fec.storage import Storage, open_storage
from pipelines.cli import main

FACES = [f"f{n}" for n in range(30)]
# On a line: the nearest two of three are those of consecutive numbers.
GOOD = np.arange(30, dtype=np.float32) ** 1.5


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A root with 28 triplets of faces on a line, and two evaluated runs: one has the order right, one reversed."""
    storage = open_storage(str(tmp_path))
    rows = [CollectedTriplet(n, FACES[n], FACES[n + 1], FACES[n + 2], 1 + n % 3, [3, 3], 3, 0) for n in range(28)]
    tables.write_table(
        storage, f"{layout.collect_dir(layout.EVAL)}/triplets.parquet", tables.from_rows(rows, CollectedTriplet)
    )
    write_done(storage, layout.collect_dir(layout.EVAL), Done("collect", "f" * 64, "c" * 64))
    for run, places in (("good", GOOD), ("bad", GOOD[::-1])):
        write_embeddings(storage, run, Embeddings(FACES, FACES, ["eval"] * 30, places[:, None]))
        write_done(storage, layout.report_dir(run), Done("evaluate", "f" * 64, "d" * 64, {}, {"collected": "c" * 64}))
    return storage


def compare(storage: Storage, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *arguments, "--root", storage.root])
    return int(ended.value.code or 0)


def test_the_better_run_is_named(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(storage, "bad", "good") == 0
    said = capsys.readouterr().out
    assert "all triplets" in said and "+100.0" in said
    assert said.splitlines()[-1].startswith("The second is better by more than luck")


def test_json_is_one_line_with_counts_and_intervals(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    compare(storage, "good", "bad", "--json")
    (line,) = capsys.readouterr().out.splitlines()
    overall = json.loads(line)["groups"]["overall"]
    assert overall["right"] == {"both": 0, "only_first": 28, "only_second": 0, "neither": 0}
    assert overall["difference"] == -1.0 and overall["differs"]


def test_a_run_that_was_not_evaluated_is_told_how(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(storage, "good", "nobody") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "'nobody' was not evaluated: python -m components.evaluate" in said


def test_runs_on_other_triplets_are_refused(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    write_done(storage, layout.collect_dir(layout.EVAL), Done("collect", "f" * 64, "e" * 64))
    assert compare(storage, "good", "bad") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "other triplets" in said
