"""What each threshold keeps, from the manifests alone."""

import json
from pathlib import Path

import pytest

from components.collect import step as collect
from components.faces import step as faces
from fec import layout, tables
from fec.done import read_done
from fec.storage import Storage, open_storage
from fec.thresholds import as_text, kept_by_threshold
from pipelines.cli import main
from tests.components.results import SPLIT, made_root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made_root(tmp_path_factory.mktemp("thresholds"))


def confidences(storage: Storage) -> list[float]:
    """Those of the faces that are kept, least sure first."""
    rows = [
        row
        for shard in range(2)
        for row in tables.read_table(storage, f"{layout.faces_dir(SPLIT, shard)}/{layout.FACES_TABLE}").to_pylist()
    ]
    return sorted(row["confidence"] for row in rows if row["outcome"] == "ok")


def code(arguments: list[str]) -> object:
    """The exit code of ``fec`` with these arguments."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def test_a_threshold_keeps_what_the_steps_keep_with_it(root: str) -> None:
    storage = open_storage(root)
    sure = confidences(storage)
    higher = round((sure[len(sure) // 2 - 1] + sure[len(sure) // 2]) / 2, 4)
    foreseen = kept_by_threshold(storage, SPLIT, [0.7, higher, 0.99])
    assert foreseen is not None
    assert (foreseen.shards, foreseen.shards_planned, foreseen.detectors) == (2, 2, ("yunet",))
    assert foreseen.faces[0] == len(sure) > foreseen.faces[1] > foreseen.faces[2] == foreseen.triplets[2] == 0

    for threshold, triplets in zip((0.7, higher), foreseen.triplets, strict=False):
        faces.run(faces.Parameters(root=root, split=SPLIT, min_confidence=threshold))
        collect.run(collect.Parameters(root=root, split=SPLIT, triplets_per_record_shard=30))
        assert len(confidences(storage)) == foreseen.faces[0 if threshold == 0.7 else 1]
        done = read_done(storage, layout.collect_dir(SPLIT))
        assert done is not None
        assert done.counts["records"] == triplets


def test_a_root_without_verified_faces_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["threshold", str(tmp_path)]) == 1
    assert "run the faces step first" in capsys.readouterr().err


def test_the_table_has_a_line_and_a_bar_for_each_threshold(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    kept = kept_by_threshold(open_storage(root), SPLIT)
    assert kept is not None
    assert code(["threshold", root]) == 0
    printed = capsys.readouterr().out
    assert printed == as_text(SPLIT, kept) + "\n"
    lines = printed.splitlines()
    assert len(lines) == 2 + len(kept.thresholds)
    assert lines[2].split()[0] == "0.40" and "#" in lines[2]
    assert code(["threshold", root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[SPLIT]["faces"] == list(kept.faces)
