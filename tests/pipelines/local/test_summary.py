"""What a finished run says of itself."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.local.summary import Summary, read

COUNTS = {"images": 80, "fetched": 72, "faces": 83, "faces_ok": 66, "triplets": 300, "triplets_ok": 170, "records": 157}
MORE = {"record_shards": 1, "no_consensus": 13}
OUTCOMES = {
    "images": {"fetched": 72, "gone": 3, "server_error": 1, "not_an_image": 4},
    "faces": {"ok": 66, "no_face": 9, "no_image": 8},
}


def finished(tmp_path: Path, pixel_baseline: float | None) -> Summary:
    for split in ("train", "eval"):
        folder = tmp_path / "collect" / split
        folder.mkdir(parents=True)
        (folder / "funnel.json").write_text(json.dumps(COUNTS | MORE | {"types": {}, "outcomes": OUTCOMES}))
    report = tmp_path / "reports" / "tiny-0"
    report.mkdir(parents=True)
    accuracy = {"overall": 0.5, "one_class": 0.25, "two_class": 0.75, "three_class": None}
    metrics = {"triplet_accuracy": accuracy, "counts": {"overall": 43}, "by_pixels": pixel_baseline}
    metrics["by_pixels_interval_95"] = None
    (report / "metrics.json").write_text(json.dumps(metrics))
    return read(str(tmp_path), str(report / "report.html"), seconds=12.3456)


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    return finished(tmp_path, 42 / 43)


def test_what_came_from_an_archive_is_said(summary: Summary) -> None:
    assert "\nfrom an archive" not in summary.as_text()
    train = summary.funnels["train"]
    archived = replace(train, outcomes=replace(train.outcomes, archived=7))
    text = replace(summary, funnels={**summary.funnels, "train": archived}).as_text()
    assert "\nfrom an archive                        7               0\n" in text


def test_json_has_exactly_what_programs_were_promised(summary: Summary, tmp_path: Path) -> None:
    assert summary.as_json() == {
        "root": str(tmp_path),
        "funnel": {"train": COUNTS, "eval": COUNTS},
        "triplet_accuracy": {"overall": 0.5, "one_class": 0.25, "two_class": 0.75, "three_class": None},
        "report": f"{tmp_path}/reports/tiny-0/report.html",
        "model": f"{tmp_path}/models/tiny-0/model.keras",
        "seconds": 12.346,
    }


@pytest.mark.parametrize(
    "line",
    [
        "fetched                         72 (90%)        72 (90%)",
        "records                        157 (52%)       157 (52%)",
        "  gone                                 3               3",
        "  server error                         1               1  (tried again later)",
        "  no face                              9               9",
        "triplet accuracy on 43 eval triplets: overall 50.0%, one class 25.0%, two class 75.0%, three class -",
        "for comparison: chance 33.3%, pixels alone, without a model, 97.7%",
    ],
)
def test_text_says_it_for_a_person(summary: Summary, line: str) -> None:
    assert line in summary.as_text().splitlines()


@pytest.mark.parametrize(("pixel_baseline", "cautious"), [(42 / 43, True), (16 / 43, False), (None, False)])
def test_an_accuracy_that_pixels_alone_reach_is_not_left_to_impress(
    tmp_path: Path, pixel_baseline: float | None, cautious: bool
) -> None:
    assert ("the accuracy says little" in finished(tmp_path, pixel_baseline).as_text()) is cautious
