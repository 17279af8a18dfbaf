"""Detectors by name, those of other packages, and weights wherever they are."""

import sys
from pathlib import Path

import numpy as np
import pytest

from components.faces import detectors
from components.faces.detectors import Found
from components.faces.detectors.both import Both
from components.faces.detectors.trusting import Trusting
from components.faces.detectors.weights import local_weights
from components.faces.parameters import DETECTORS, Parameters
from fec.boxes import Box
from fec.errors import ConfigurationError
from fec.pixels import RGB
from fec.storage import open_storage
from tests.fec.conftest import BUCKET, google_emulator, use_google

__all__ = ["google_emulator", "use_google"]

HERE = Box(0.2, 0.8, 0.2, 0.8)
PICTURE = np.zeros((20, 20, 3), np.uint8)


class Fixed(Trusting):
    """Finds what it was made with."""

    def __init__(self, name: str, *found: Found, threshold: float = 0.5) -> None:
        self.name, self.threshold, self._found = name, threshold, list(found)

    def find(self, rgb: RGB, expected: Box) -> list[Found]:
        return self._found


def both(first: list[Found], second: list[Found]) -> list[Found]:
    return Both(Fixed("a", *first), Fixed("b", *second)).find(PICTURE, HERE)


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "faced"])  # which has no weights here
def test_a_detector_says_what_it_is(name: str) -> None:
    detector = detectors.load(name)
    assert detector.name == name
    assert detector.licence
    assert 0 <= detector.threshold <= 1
    assert detector.input_side >= 0
    assert detector.milliseconds is not None and detector.milliseconds >= 0


def test_two_detectors_find_what_both_find_as_surely_as_the_less_sure() -> None:
    nearly = Box(0.25, 0.85, 0.2, 0.8)
    marks = ((0.3, 0.3),) * 5
    assert both([Found(HERE, 0.9, marks)], [Found(nearly, 0.6)]) == [Found(HERE, 0.6, marks)]
    assert both([Found(HERE, 0.5)], [Found(nearly, 0.6)]) == [Found(HERE, 0.5)]
    assert both([Found(HERE, 0.9)], []) == []
    assert both([], [Found(HERE, 0.9)]) == []
    assert both([Found(HERE, 0.9)], [Found(Box(0.0, 0.2, 0.0, 0.2), 0.9)]) == []


def test_two_detectors_are_loaded_by_both_names() -> None:
    agreed = detectors.load("yunet+none")
    assert (agreed.name, agreed.threshold) == ("yunet+none", 0.7)
    with pytest.raises(ConfigurationError, match="needs --detector-weights"):
        detectors.load("yunet+faced")


@pytest.mark.parametrize("name", ["eyes", "yunet+eyes", "yunet+none+yunet", "", "+", "yunet+"])
def test_a_name_that_is_no_detector_is_refused_before_anything_is_loaded(name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected one of faced, none, yunet"):
        Parameters(root="root", split="train", detector=name)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that brings the detector 'everywhere'."""
    (tmp_path / "everywhere.py").write_text(
        "from components.faces.detectors.trusting import Trusting\n"
        "class Everywhere(Trusting):\n"
        "    name = 'everywhere'\n"
        "    def __init__(self, weights):\n"
        "        self.weights = weights\n"
    )
    information = tmp_path / "everywhere-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: everywhere\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[fec.detectors]\neverywhere = everywhere:Everywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "everywhere", raising=False)


@pytest.mark.usefixtures("package")
def test_a_package_brings_a_detector() -> None:
    assert Parameters(root="root", split="train", detector="everywhere+yunet").detector == "everywhere+yunet"
    detector = detectors.load("everywhere", "folder")
    assert detector.name == "everywhere"
    assert vars(detector) == {"weights": "folder"}


def test_a_folder_of_weights_is_used_where_it_is(tmp_path: Path) -> None:
    with local_weights(str(tmp_path)) as folder:
        assert folder == str(tmp_path)
    with local_weights("") as folder:
        assert folder == ""


@pytest.mark.usefixtures("use_google")
def test_weights_in_a_bucket_are_fetched_and_go_when_they_are_no_longer_needed() -> None:
    storage = open_storage(f"gs://{BUCKET}/weights")
    storage.write("face_yolo.pb", b"one")
    storage.write("face_corrector.pb", b"two")
    storage.write("other/else.pb", b"three")
    with local_weights(f"gs://{BUCKET}/weights") as folder:
        assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == {
            "face_yolo.pb": b"one",
            "face_corrector.pb": b"two",
        }
    assert not Path(folder).exists()


@pytest.mark.usefixtures("use_google")
def test_a_prefix_without_weights_is_named() -> None:
    with (
        pytest.raises(ConfigurationError, match=rf"gs://{BUCKET}/nothing: there is nothing below"),
        local_weights(f"gs://{BUCKET}/nothing"),
    ):
        pass
    with pytest.raises(ConfigurationError, match="name a prefix in the bucket"), local_weights(f"gs://{BUCKET}"):
        pass
