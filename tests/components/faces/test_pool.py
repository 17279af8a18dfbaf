"""Worker processes that die of what they are given."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.faces.pool import Crashed, Pool
from components.faces.verification import Criteria, Verdict, WantedFace
from components.faces.verifiers import ImageTask, Verifiers
from fec.boxes import Box
from fec.errors import ConfigurationError, RunFailed
from fec.outcomes import FaceOutcome
from tests.components.faces.deadly import DeadlySetup, deadly_work, worker_pid


def results(
    items: list[str], count: int = 2, start: Callable[[], Callable[[str], str]] = deadly_work
) -> dict[str, object]:
    with Pool(start, count) as pool:
        return dict(pool.map(items))


def test_every_item_gets_its_result() -> None:
    items = [f"item {number}" for number in range(30)]
    assert results(items) == {item: item.upper() for item in items}


def test_an_item_that_kills_is_known_and_the_others_are_done() -> None:
    items = ["a", "segv", "b", "c", "d"]
    assert results(items) == {"a": "A", "b": "B", "c": "C", "d": "D", "segv": Crashed(signal.SIGSEGV)}


def test_an_item_that_kills_once_is_done_by_another_worker(tmp_path: Path) -> None:
    assert results([f"once {tmp_path / 'mark'}", "a"]) == {f"once {tmp_path / 'mark'}": "survived", "a": "A"}


def test_several_deadly_items_do_not_stop_the_rest() -> None:
    items = ["segv", "kill", "a", "leave", "b"]
    assert results(items, count=1) == {
        "segv": Crashed(signal.SIGSEGV),
        "kill": Crashed(signal.SIGKILL),
        "a": "A",
        "leave": Crashed(0),
        "b": "B",
    }


def test_an_error_in_a_worker_is_raised_by_the_parent() -> None:
    with pytest.raises(ConfigurationError, match="as asked"):
        results(["a", "error"])


def test_items_are_taken_only_as_workers_are_free() -> None:
    taken: list[str] = []

    def endless() -> Iterator[str]:
        number = 0
        while True:
            taken.append(f"item {number}")
            yield taken[-1]
            number += 1

    with Pool(deadly_work, 2) as pool:
        for done, _ in enumerate(pool.map(endless())):
            assert len(taken) <= done + 4
            if done == 20:
                break


def test_closing_ends_the_workers() -> None:
    with Pool(worker_pid, 2) as pool:
        pids = {int(result) for _, result in pool.map(["a", "b", "c"]) if isinstance(result, str)}
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def verdicts_on(data: bytes) -> list[Verdict]:
    box = Box(0.1, 0.2, 0.1, 0.2)
    task = ImageTask(data, (WantedFace("face", "image", box, "name"),))
    with Verifiers(DeadlySetup("yunet", "", Criteria(0.7, 1000, 16, 95)), workers=2, images=100) as verifiers:
        return [verdict for verdicts in verifiers.map([task]) for verdict in verdicts]


def test_an_image_whose_decoder_crashes_is_unreadable() -> None:
    [verdict] = verdicts_on(b"segv")
    assert verdict.face.face_id == "face"
    assert verdict.face.outcome is FaceOutcome.UNREADABLE
    assert verdict.face.detail == "decoding it ended the process (SIGSEGV)"


@pytest.mark.parametrize(("data", "reason"), [(b"kill", r"\(SIGKILL\)"), (b"leave", "its message stands above")])
def test_a_worker_that_something_else_ended_ends_the_run_with_advice(data: bytes, reason: str) -> None:
    with pytest.raises(RunFailed, match=f"ended twice on image image.*{reason}: give the step more memory"):
        verdicts_on(data)
