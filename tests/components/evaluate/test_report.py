"""The report tells the run, needs nothing but itself, and trusts nothing that came from outside."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from components.evaluate import report
from components.evaluate.accuracy import Score
from components.evaluate.component import evaluate as evaluate_component
from components.evaluate.gathering import Crop, History, Shared
from components.evaluate.step import Parameters, run
from fec import layout
from fec.errors import ConfigurationError, RunFailed
from tests.components.evaluate.conftest import RUN

HOSTILE = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Tags and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]


def funnel(outcome: str) -> dict[str, object]:
    counts = dict.fromkeys(("images", "fetched", "faces", "faces_ok", "triplets", "triplets_ok", "records"), 3)
    return {**counts, "outcomes": {"images": {outcome: 3}, "faces": {outcome: 3}}}


def content(text: str) -> report.Content:
    return report.Content(
        run=text,
        funnels={split: funnel(text) for split in layout.SPLITS},
        scores={name: Score(0, 0) for name in ("overall", "one_class", "two_class", "three_class")},
        shared=Shared(1, 0),
        accepted=[Crop(b"\xff\xd8", text, text, text)],
        rejected=[Crop(b"\xff\xd8", text, text, text)],
        shown_triplets=([], []),
        history=History([], [], []),
        provenance={text: text},
    )


def test_the_component_measures_and_reports(finished_root: Path) -> None:
    path = Path(evaluate_component.python_func(root=str(finished_root), run=RUN))
    metrics = json.loads(path.with_name("metrics.json").read_text())
    funnel = json.loads((finished_root / "collect/eval/funnel.json").read_text())
    assert metrics["counts"]["overall"] == funnel["records"] > 0
    assert metrics["funnel"]["eval"]["faces_ok"] == funnel["faces_ok"]
    assert 0 <= metrics["triplet_accuracy"]["overall"] <= 1
    text = path.read_text()
    for shown in (RUN, "not_an_image", "no_face", "127.0.0.1", "one-class", "95 % interval"):
        assert shown in text
    assert text.count("data:image/jpeg;base64,") > 20
    assert len(text) < 2_000_000


def test_the_page_refers_to_nothing_outside_itself(finished_root: Path) -> None:
    page = Page(Path(run(Parameters(root=str(finished_root), run=RUN))).read_text())
    assert page.references
    assert all(reference.startswith("data:image/jpeg;base64,") for reference in page.references)
    assert "script" not in page.tags


def test_what_comes_from_outside_is_text_and_never_markup() -> None:
    harmless, hostile = Page(report.page(content("plain"))), Page(report.page(content(HOSTILE)))
    assert hostile.tags == harmless.tags
    assert hostile.references == harmless.references


def test_the_same_run_gives_the_same_page(finished_root: Path) -> None:
    first = Path(run(Parameters(root=str(finished_root), run=RUN))).read_bytes()
    shutil.rmtree(finished_root / layout.report_dir(RUN))
    assert Path(run(Parameters(root=str(finished_root), run=RUN))).read_bytes() == first


def test_a_finished_report_is_skipped_without_tensorflow(finished_root: Path) -> None:
    run(Parameters(root=str(finished_root), run=RUN))
    script = (
        "import sys; from components.evaluate.step import Parameters, run;"
        f"run(Parameters(root={str(finished_root)!r}, run={RUN!r})); print('tensorflow' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "False"


def test_a_run_that_does_not_exist_is_a_users_mistake(finished_root: Path) -> None:
    with pytest.raises(ConfigurationError, match="no finished training"):
        run(Parameters(root=str(finished_root), run="nobody"))


def test_a_spoiled_record_file_is_named(finished_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(finished_root, root)
    shutil.rmtree(root / "reports", ignore_errors=True)
    path = root / layout.record_file(layout.EVAL, 0, 1)
    spoiled = bytearray(path.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    path.write_bytes(bytes(spoiled))
    with pytest.raises(RunFailed, match="fec_base-dev-00000-of-00001"):
        run(Parameters(root=str(root), run=RUN))


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Debian's chromium is not installed")
def test_a_browser_shows_it(finished_root: Path, tmp_path: Path) -> None:
    path = run(Parameters(root=str(finished_root), run=RUN))
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    profile, picture = f"--user-data-dir={tmp_path / 'profile'}", tmp_path / "page.png"
    shot = [*chromium, *quiet, profile, "--window-size=1000,1200", f"--screenshot={picture}", f"file://{path}"]
    subprocess.run(shot, check=True, capture_output=True, timeout=90)
    from PIL import Image

    with Image.open(picture) as image:
        assert image.size == (1000, 1200)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 200  # photographs, not an error page
