"""The funnel is read back as what it was written from, or not at all."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from fec.errors import RunFailed
from fec.funnel import STAGES, Funnel, Outcomes, funnel_path, read_funnel
from fec.storage import LocalStorage

FUNNEL = Funnel(9, 8, 7, 6, 5, 4, 3, 2, 1, {"1": 3, "2": 0, "3": 0}, Outcomes({"fetched": 8, "gone": 1}, {"ok": 6}))


def test_it_comes_back(tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path))
    storage.write(funnel_path("train"), FUNNEL.to_bytes())
    assert read_funnel(storage, "train") == FUNNEL


def test_one_from_before_archives_were_asked_has_none_of_their_pictures() -> None:
    value = asdict(FUNNEL)
    del value["outcomes"]["archived"]
    assert Funnel.parse(json.dumps(value).encode()) == FUNNEL


def test_its_stages_are_in_the_order_of_the_work() -> None:
    assert list(FUNNEL.stages.items()) == list(zip(STAGES, (9, 8, 7, 6, 5, 4, 3), strict=True))
    assert FUNNEL.counts == FUNNEL.stages | {"record_shards": 2, "no_consensus": 1}


@pytest.mark.parametrize("change", [{"images": "9"}, {"images": None}, {"more": 1}, {"outcomes": {}}, {"outcomes": 3}])
def test_another_content_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    storage = LocalStorage(str(tmp_path))
    storage.write(funnel_path("eval"), json.dumps(asdict(FUNNEL) | change).encode())
    with pytest.raises(RunFailed, match=r"collect/eval/funnel.json is missing or spoiled: delete .* collect step"):
        read_funnel(storage, "eval")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_what_is_no_funnel_is_no_funnel(content: bytes) -> None:
    with pytest.raises(ValueError):
        Funnel.parse(content)
