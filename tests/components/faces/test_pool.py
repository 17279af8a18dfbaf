"""Worker processes that die of what they are given."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.faces.parameters import Parameters
from components.faces.pool import Crashed, Pool
from components.faces.verification import WantedFace
from components.faces.verifiers import MAX_KILLED, ImageTask, Verifiers
from fec.boxes import Box
from fec.errors import ConfigurationError, RunFailed
from fec.outcomes import FaceOutcome
from fec.rows import VerifiedFace
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


def test_a_worker_that_takes_too_much_time_is_ended() -> None:
    assert results(["spin", "a"]) == {"spin": Crashed(signal.SIGPROF), "a": "A"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's private memory")
def test_a_worker_is_refused_more_memory_than_a_picture_needs() -> None:
    assert results(["memory", "a"]) == {"memory": "refused", "a": "A"}


def faces(*images: bytes) -> list[VerifiedFace]:
    """The rows of images that do to their verifier what their bytes say."""
    box = Box(0.1, 0.2, 0.1, 0.2)
    tasks = [ImageTask(data, (WantedFace(f"face {n}", f"image {n}", box, "name"),)) for n, data in enumerate(images)]
    with Verifiers(DeadlySetup(Parameters("none", "train", max_pixels=1000), ""), workers=1, images=100) as verifiers:
        return [verdict.face for verdicts in verifiers.map(tasks) for verdict in verdicts]


@pytest.mark.parametrize(
    ("data", "how"),
    [
        (b"segv", "it ended the process twice (SIGSEGV)"),
        (b"kill", "it ended the process twice (SIGKILL)"),
        (b"leave", "it ended the process twice (it left; its message is in the log)"),
        (b"spin", "decoding it takes more than 20 s"),
    ],
)
def test_an_image_that_ends_its_process_twice_is_a_row_and_the_others_are_done(data: bytes, how: str) -> None:
    rows = {face.image_id: face for face in faces(data, b"a", data, b"b")}
    assert rows["image 0"].face_id == "face 0"
    assert [rows[f"image {n}"].outcome for n in range(4)] == [FaceOutcome.UNREADABLE, FaceOutcome.NO_FACE] * 2
    assert rows["image 0"].detail == rows["image 2"].detail == how


def test_workers_killed_on_every_image_end_the_run_with_advice() -> None:
    with pytest.raises(
        RunFailed, match=rf"{MAX_KILLED} images .*\(it ended.*SIGKILL\)\), .*: give the step more memory"
    ):
        faces(*[b"kill"] * MAX_KILLED, b"a")


def test_images_that_crash_their_decoder_never_end_the_run() -> None:
    assert len(faces(*[b"segv"] * (MAX_KILLED + 1))) == MAX_KILLED + 1
