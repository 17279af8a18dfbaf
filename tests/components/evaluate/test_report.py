"""The report tells the run, needs nothing but itself, and trusts nothing that came from outside."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from kfp import dsl
from numpy.typing import NDArray

import fec
from components.evaluate import charts, report
from components.evaluate.accuracy import Score
from components.evaluate.component import evaluate as evaluate_component
from components.evaluate.embedding import THUMBNAIL, embedded, thumbnail
from components.evaluate.report_data import Shared
from components.evaluate.step import Parameters, run
from components.train.examples import read_examples
from components.train.input_pipeline import Faces
from fec import layout
from fec.errors import ConfigurationError, RunFailed
from fec.funnel import Leaks, Repeated
from fec.history import History
from fec.outcomes import FaceOutcome, ImageOutcome
from fec.record_files import record_files
from fec.storage import open_storage
from fec.subsets import parse, to_csv
from pipelines.export.crops import listed
from tests.components.evaluate.conftest import RUN, store_model
from tests.components.evaluate.made_up import TYPES, content

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


def test_the_component_measures_and_reports(finished_root: Path, tmp_path: Path) -> None:
    shown, numbers = dsl.HTML(uri=str(tmp_path / "report")), dsl.Metrics(uri=str(tmp_path / "metrics"))
    path = Path(
        evaluate_component.python_func(
            root=str(finished_root),
            run=RUN,
            trained_model=dsl.Model(),
            triplets=dsl.Dataset(),
            report=shown,
            metrics=numbers,
        )
    )
    metrics = json.loads(path.with_name("metrics.json").read_text())
    assert Path(shown.path).read_bytes() == path.read_bytes()
    assert numbers.metadata["triplet_accuracy_overall"] == metrics["triplet_accuracy"]["overall"]
    assert numbers.metadata["by_pixels"] == metrics["by_pixels"]
    funnel = json.loads((finished_root / "collect/eval/funnel.json").read_text())
    assert metrics["counts"]["overall"] == funnel["records"] > 0
    assert metrics["funnel"]["eval"]["faces_ok"] == funnel["faces_ok"]
    assert 0 <= metrics["triplet_accuracy"]["overall"] <= 1
    assert sum(group["count"] for group in metrics["by_agreement"].values()) == metrics["counts"]["overall"]
    assert metrics["raters"]["overall"]["votes"] > metrics["counts"]["overall"]
    assert 0.5 < metrics["raters"]["overall"]["accuracy"] <= 1
    of_eval = parse(to_csv(row for row in listed(fec.open(str(finished_root))) if row["split"] == layout.EVAL), "")
    assert metrics["measured_on"]["fingerprint"] == of_eval.fingerprint
    assert of_eval.fingerprint in path.read_text()
    card = json.loads((finished_root / layout.model_dir(RUN) / "model.json").read_text())
    assert card["accuracy"]["held_out"] == 0.5
    assert card["accuracy"]["eval"]["triplet_accuracy"] == metrics["triplet_accuracy"]
    text = path.read_text()
    for shown in (RUN, "not_an_image", "no_face", "127.0.0.1", "one-class", "95 % interval", ">2/3<"):
        assert shown in text
    assert text.count("data:image/jpeg;base64,") > 20
    assert len(text) < 2_000_000


@pytest.mark.parametrize("batch_size", [7, 256])
def test_a_collapsed_network_scores_exactly_nothing(finished_root: Path, batch_size: int) -> None:
    run_name = f"collapsed-{batch_size}"
    store_model(str(finished_root), run_name, {"steps": [1], "loss": [1.0], "triplet_accuracy": [0.0]}, collapsed=True)
    path = run(Parameters(root=str(finished_root), run=run_name, batch_size=batch_size))
    metrics = json.loads(Path(path).with_name("metrics.json").read_text())
    assert metrics["counts"]["overall"] > 0
    assert set(metrics["right"].values()) == {0}


def test_what_came_from_an_archive_is_marked() -> None:
    plain = content("plain")
    funnel = plain.funnels["train"]
    archived = replace(funnel, outcomes=replace(funnel.outcomes, archived=2))
    assert "from a web archive" not in report.page(plain)
    text = report.page(replace(plain, funnels={**plain.funnels, "train": archived}))
    assert "since their hosts have them no more: 2 of train, 0 of eval." in text


@pytest.mark.parametrize(
    ("shared", "said", "unsaid"),
    [
        (Shared(3, 2), "Leaked split.</b>\nTrain and eval share 2 faces and 3 photographs", "Read this first"),
        (Shared(3, 0), "Read this first.</b>\nTrain and eval share 3 photographs (and no face)", "Leaked split"),
        (Shared(0, 0), "Read this first.</b>\nOnly 0 triplets", "Leaked split"),
    ],
)
def test_a_leak_is_the_first_thing_said(shared: Shared, said: str, unsaid: str) -> None:
    text = report.page(replace(content("plain"), shared=shared))
    assert said in text
    assert unsaid not in text


LEAKS = Leaks(same_bytes=12, alike=34, faces=56, triplets=78, dropped=False)


@pytest.mark.parametrize(
    ("leaks", "said"),
    [
        (None, ("eval had not been verified", ">?<")),
        (LEAKS, (">12<", ">34<", ">56<", "78 of train", "--set collect.drop_leaks=true", "56 of train&#8217;s faces")),
        (replace(LEAKS, dropped=True), ("The 78 triplets of train with such a face were left out",)),
    ],
)
def test_the_same_photograph_under_several_urls_is_told(leaks: Leaks | None, said: tuple[str, ...]) -> None:
    plain = content("plain")
    train = replace(plain.funnels["train"], leaks=leaks, repeated=Repeated(901, 902, 903))
    text = report.page(replace(plain, funnels={**plain.funnels, "train": train}))
    for words in (*said, ">901<", ">902<", ">903<"):
        assert words in text
    assert ("the accuracy says less of new faces" in text) is (leaks == LEAKS)


def test_every_outcome_has_a_meaning_on_the_page() -> None:
    assert set(report.MEANING) == {*ImageOutcome, *FaceOutcome}


def test_the_page_refers_to_nothing_outside_itself(finished_root: Path) -> None:
    page = Page(Path(run(Parameters(root=str(finished_root), run=RUN))).read_text())
    assert page.references
    assert all(reference.startswith(("data:image/jpeg;base64,", "#")) for reference in page.references)
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


@pytest.mark.parametrize(("right", "said"), [(90, True), (33, False)])
def test_a_set_that_pixels_alone_answer_is_said_to_tell_little(right: int, said: bool) -> None:
    text = report.page(replace(content("plain"), pixel_baseline=Score(right, 100)))
    assert ("without looking at an expression" in text) is said


@pytest.mark.parametrize(("count", "said"), [(43, True), (5000, False)])
def test_few_triplets_are_said_to_be_few(count: int, said: bool) -> None:
    scores = dict.fromkeys(TYPES, Score(count, count))
    assert ("too few" in report.page(replace(content("plain"), scores=scores))) is said


@pytest.mark.parametrize("outcome", [*ImageOutcome, *FaceOutcome])
def test_every_outcome_is_explained(outcome: str) -> None:
    unknown = report.page(content("no such outcome"))
    assert len(report.page(content(outcome))) > len(unknown.replace("no such outcome", outcome))


def test_a_long_training_makes_no_large_drawing() -> None:
    steps = range(10, 1_000_001, 10)
    drawing = charts.curves([charts.Series("accuracy", steps, [0.5] * len(steps))], "accuracy", 1.0, {})
    assert len(drawing) < 10_000
    assert "1,000,000" in drawing


def test_lines_are_named_where_there_are_several() -> None:
    one = charts.Series("<training>", [10, 20], [0.4, 0.6])
    other = charts.Series("held out", [20], [0.5])
    assert "<training>" not in charts.curves([one], "loss", None, {})
    drawing = charts.curves([one, other], "accuracy", 1.0, {"chance": 1 / 3})
    assert all(f">{name}</li>" in drawing for name in ("&lt;training&gt;", "held out", "chance"))
    assert drawing.count("<polyline") == 2


def test_active_triplets_and_dimensions_are_drawn_beside_the_loss() -> None:
    history = History([10, 20], [0.3, 0.2], [0.4, 0.6], [0.9, 0.7], [10, 20], [0.4, 0.5], [2.0, 3.0])
    section = report.page(replace(content("plain"), history=history)).partition('id="training"')[2]
    shown = section.partition("<section>")[0]
    for name in ("share of active triplets", "effective dimensions"):
        assert (
            shown.partition(f'aria-label="{name} by training step"')[2].partition("</svg>")[0].count("<polyline") == 1
        )
    assert shown.count("eval, at the end") == 2


def test_curves_that_an_earlier_version_did_not_record_are_left_out() -> None:
    history = History([10, 20], [0.3, 0.2], [0.4, 0.6], [], [10, 20], [0.4, 0.5], [3.0])
    page = report.page(replace(content("plain"), history=history))
    assert "no points were recorded" in page.partition("<h3>active triplets</h3>")[2].partition("</div>")[0]
    assert page.partition("<h3>effective dimensions</h3>")[2].partition("</div>")[0].count('class="dot"') == 1


def test_a_line_that_is_asked_for_is_within_the_drawing() -> None:
    drawing = charts.curves([charts.Series("dimensions", [10, 20], [1.0, 2.0])], "dimensions", None, {"eval": 4.0})
    assert ">4.4</text>" in drawing


def test_a_large_face_is_shown_small() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 100, 3)).astype(np.uint8)
    small = cv2.imdecode(np.frombuffer(thumbnail(b"", pixels), np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    assert small.shape == (THUMBNAIL, THUMBNAIL // 2, 3)
    assert thumbnail(b"as it was", pixels[:THUMBNAIL, :THUMBNAIL]) == b"as it was"


def test_each_face_goes_through_the_network_once_in_batches(finished_root: Path) -> None:
    sizes = []

    class Network:
        def predict_on_batch(self, faces: NDArray[np.float32]) -> NDArray[np.float32]:
            sizes.append(len(faces))
            return faces.reshape(len(faces), -1)[:, :16]

    storage = open_storage(str(finished_root))
    found = embedded(storage, record_files(storage, layout.EVAL), Network(), batch_size=4)
    assert sum(sizes) == len(found.embeddings) == len({face for triplet in found.triplets for face in triplet.faces})
    assert max(sizes) == 4


def test_eval_faces_arrive_as_training_saw_them(finished_root: Path) -> None:
    class Identity:
        def predict_on_batch(self, faces: NDArray[np.float32]) -> NDArray[np.float32]:
            return faces

    storage = open_storage(str(finished_root))
    files = record_files(storage, layout.EVAL)
    found = embedded(storage, files, Identity(), batch_size=8)
    examples = read_examples(storage, files)
    faces = Faces(examples.jpegs, files.image_size)[examples.faces[0]]
    for face, pixels in zip(found.triplets[0].faces, faces.numpy(), strict=True):
        assert np.array_equal(found.embeddings[face], pixels)


def test_faces_of_another_size_than_the_model_takes_are_refused(finished_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(finished_root, tmp_path / "root")
    marker = root / layout.model_dir(RUN) / layout.DONE
    marker.write_text(marker.read_text().replace('"image_size": 32', '"image_size": 64'))
    with pytest.raises(RunFailed, match="32 pixels, but run 'untrained' was trained on faces of 64"):
        run(Parameters(root=str(root), run=RUN))


def test_a_crop_that_is_gone_is_named(finished_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(finished_root, tmp_path / "root")
    shutil.rmtree(root / "reports", ignore_errors=True)
    for crop in root.glob("train/*/cropped@*"):
        crop.unlink()
    with pytest.raises(RunFailed, match="run the faces step again"):
        run(Parameters(root=str(root), run=RUN))


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
