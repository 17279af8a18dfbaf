"""The process beside a run: what it is asked for, that it comes last, and that it ends with the run."""

import os
import time
from pathlib import Path

import pytest

from components.faces.parameters import Parameters
from components.form import RunParameters, for_pipeline
from fec.parameters import made
from pipelines.local import ahead


def arguments(root: Path) -> dict[str, object]:
    options = {"faces": {"crop_quality": 90}, "download": {"attempts": 1}}
    return for_pipeline(
        RunParameters(train_csv="t.csv", eval_csv="e.csv", root=str(root), min_confidence=0.5, options=options)
    )


def children() -> set[int]:
    return set(map(int, Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()))


def test_it_is_asked_for_what_the_step_is(tmp_path: Path) -> None:
    asked = made(Parameters, ahead._faces(arguments(tmp_path)))
    assert asked == Parameters(root=str(tmp_path), split="train", min_confidence=0.5, crop_quality=90)


@pytest.mark.parametrize(
    ("mode", "cores", "wanted"), [("auto", 1, False), ("auto", 2, True), ("on", 1, True), ("off", 8, False)]
)
def test_by_itself_it_wants_a_core_of_its_own(
    mode: str, cores: int, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "available_cores", lambda: cores)
    assert ahead.wanted(mode) is wanted


def test_it_comes_last_and_ends_with_the_run(tmp_path: Path) -> None:
    before = children()
    with ahead.verifying_ahead(arguments(tmp_path)):
        [process] = children() - before
        deadline = time.monotonic() + 30
        while os.getpriority(os.PRIO_PROCESS, process) != 19:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "components.faces.beside" in Path(f"/proc/{process}/cmdline").read_text()
    assert not Path(f"/proc/{process}").exists()
