"""What a run tells of a step that fails: its own words, or at least its name."""

import signal
from pathlib import Path

import pytest
from kfp import dsl, local

from pipelines.local.execution import _Failures
from pipelines.local.process import STEP_FAILED, failure_in


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def dying() -> str:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)
    return ""


@dsl.pipeline(name="deadly")
def deadly() -> None:
    with dsl.ParallelFor(["a"], parallelism=1):
        dying()


def test_a_step_that_was_killed_is_named_by_what_kfp_local_raises(tmp_path: Path) -> None:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path))
    with pytest.raises(RuntimeError) as raised:
        deadly()
    assert failure_in(str(raised.value)) == "step dying failed"


def test_other_words_are_passed_on_without_colour() -> None:
    assert failure_in("\x1b[91mno pipeline\x1b[0m") == "no pipeline"


CRASHED = {"event": "crashed", "message": "ValueError: 3"}
FAILED = {"event": STEP_FAILED, "message": "step faces failed"}
OUTAGE = {"event": "error", "message": "an outage", "exit_code": 1}
WRONG = {"event": "error", "message": "no such file", "exit_code": 2}


@pytest.mark.parametrize(
    ("events", "message", "code"),
    [
        ([CRASHED, FAILED], "step faces failed: ValueError: 3", 1),
        ([FAILED], "step faces failed: it said nothing; was it killed, for want of memory?", 1),
        ([OUTAGE, FAILED], "an outage", 1),
        ([OUTAGE, WRONG, FAILED], "no such file", 2),
        ([], "the pipeline's process was killed by signal 9: the last line", 1),
    ],
)
def test_the_most_telling_words_are_the_run_s_error(
    events: list[dict[str, object]], message: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "run.log").write_text("a line\nthe last line\n\n")
    failures = _Failures()
    for event in events:
        failures.note(event)
    error = failures.error(-signal.SIGKILL, tmp_path / "run.log")
    assert (str(error), error.exit_code) == (message, code)
