"""Which hosts are waited for at the end of a crawl, and why."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from components.download.pace import Paces
from components.download.tail import FEW, tell_of_tail
from fec.progress import heard_by


def told(left: dict[str, int], rest: float = 0.0, seconds: float = 0.1) -> list[Any]:
    """What is said of ``left`` within some seconds, where the first host asked for a ``rest``."""

    async def tail() -> None:
        paces = Paces(dict.fromkeys(left, 20.0), 20.0)
        if rest:
            paces.of(next(iter(left))).rest(asyncio.get_running_loop().time(), rest)
        with suppress(TimeoutError):
            await asyncio.wait_for(tell_of_tail("download train", left, paces, first=0.01), seconds)

    heard: list[Any] = []
    with heard_by(heard.append):
        asyncio.run(tail())
    return heard


def test_a_few_hosts_are_named_with_how_long_they_take() -> None:
    said = told({"a.example": 2400, "done.example": 0})[0]
    assert said["hosts"] == {"a.example": 2400}
    assert said["message"] == (
        "download train: waiting for a.example (2,400 left, asked every 0.051 s at the most: 0:02:02 at least)"
    )


def test_a_host_that_asked_for_rest_is_said_to_rest() -> None:
    assert "a.example (7 left, it asked for 0:05:00 of rest)" in told({"a.example": 7}, rest=300.0)[0]["message"]


@pytest.mark.parametrize("left", [{}, {"a.example": 0}, {f"{number}.example": 1 for number in range(FEW + 1)}])
def test_nothing_is_said_while_many_are_at_work_or_none(left: dict[str, int]) -> None:
    assert told(left) == []


def test_it_is_said_ever_more_seldom() -> None:
    assert 2 <= len(told({"a.example": 1}, seconds=0.2)) <= 5
