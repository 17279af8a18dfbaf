"""Ways to spoil a root, each of one thing only: what a file holds can be changed with its checksums still right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fec import layout, records

Example = dict[str, list[Any]]


def flip(file: Path, at: int | None = None) -> None:
    """Change one bit, in the middle by default."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    file.write_bytes(data)


def cut(file: Path, bytes_off: int) -> None:
    file.write_bytes(file.read_bytes()[:-bytes_off])


def rewrite(root: Path, path: str, change: Callable[[list[Example]], object], marker: bool = True) -> None:
    """Change the examples of a record file in place; checksums, and its marker, are those of the changed file."""
    file = root / path
    with file.open("rb") as opened:
        examples: list[Example] = [dict(records.decode_example(payload)) for payload in records.read_frames(opened)]
    change(examples)
    data = b"".join(records.frame(records.encode_example(example)) for example in examples)
    file.write_bytes(data)
    if marker:
        done = root / "records" / "_done" / file.name / layout.DONE
        value = json.loads(done.read_text())
        value["digest"] = value["details"]["sha256"] = hashlib.sha256(data).hexdigest()
        value["counts"] = {name: len(examples) for name in value["counts"]} | {"bytes": len(data)}
        done.write_text(json.dumps(value))


def put(example: Example, name: str, value: Any) -> None:
    example[name] = [value]
