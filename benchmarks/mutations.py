"""Mutated pictures of every format through the faces step's workers: python benchmarks/mutations.py [--count 100000].

Each must end in an outcome. It prints how many came to which, how many ended their worker, the slowest, and the most
memory that a worker took.
"""

from __future__ import annotations

import argparse
import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from components.faces import limits
from components.faces.pool import Crashed, Pool
from fec.codecs import extras
from fec.cores import available_cores
from fec.pixels import TooManyPixels, Unreadable, decode

MAX_PIXELS: Final = 100_000_000
# Format and how it is written: every decoder, and the ways through it that differ most.
KINDS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("JPEG", "RGB", {}),
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "P", {}),
    ("GIF", "P", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "tiff_deflate"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "1", {"compression": "group4"}),
    ("AVIF", "RGB", {}),
    ("HEIF", "RGB", {}),
    ("JXL", "RGB", {}),
    ("JXL", "RGB", {"use_container": True}),
)


@dataclass(frozen=True)
class Answer:
    """What became of a picture, the CPU seconds it took, and its worker's most memory so far in MB."""

    outcome: str
    seconds: float
    megabytes: float


def originals() -> list[bytes]:
    """A small picture in every kind, some with metadata."""
    grid = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(grid).resize((96, 72), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    for named in extras.EXTRAS:
        extras.format_of(named)
    found = []
    for format, mode, options in KINDS:
        for metadata in ({}, {"exif": exif}) if format in ("JPEG", "PNG", "WEBP", "AVIF") else ({},):
            buffer = io.BytesIO()
            image.convert(mode).save(buffer, format, **options, **metadata)
            found.append(buffer.getvalue())
    return found


def mutated(count: int, seed: int) -> Iterator[bytes]:
    """``count`` pictures with bytes changed, removed, repeated, cut off, or made extreme; most often near the start."""
    chance = np.random.default_rng(seed)
    pictures = originals()
    for number in range(count):
        data = bytearray(pictures[number % len(pictures)])
        for _ in range(int(chance.integers(1, 4))):
            reach = len(data) if chance.random() < 0.5 else min(len(data), 512)
            at = int(chance.integers(0, max(1, reach)))
            match int(chance.integers(0, 6)):
                case 0 | 1:
                    data[at : at + 1] = bytes([int(chance.integers(0, 256))])
                case 2:
                    data[at : at + 4] = bytes([int(chance.choice([0, 1, 127, 128, 255]))]) * int(chance.integers(1, 5))
                case 3:
                    del data[at : at + int(chance.integers(1, 64))]
                case 4:
                    data[at:at] = data[at : at + int(chance.integers(1, 256))] * int(chance.integers(1, 4))
                case _:
                    del data[max(16, int(chance.integers(0, len(data) + 1))) :]
        yield bytes(data)


def start() -> Callable[[bytes], Answer]:
    """The work of a worker, under its limits."""
    limits.limit_memory(MAX_PIXELS)
    return _answer


def _answer(data: bytes) -> Answer:
    began = time.process_time()
    try:
        with limits.cpu_time(limits.seconds(MAX_PIXELS)):
            decode(data, MAX_PIXELS)
        outcome = "decoded"
    except Unreadable:
        outcome = "unreadable"
    except TooManyPixels:
        outcome = "too many pixels"
    except MemoryError:
        outcome = "refused memory"
    status = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in status if line.startswith("VmHWM:")]
    return Answer(outcome, time.process_time() - began, int(line.split()[1]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    outcomes = Counter[str]()
    slowest = most = 0.0
    with Pool(start, available_cores()) as pool:
        for _, answer in pool.map(mutated(options.count, options.seed)):
            if isinstance(answer, Crashed):
                outcomes[f"ended its worker twice (signal {answer.signal})"] += 1
                continue
            outcomes[answer.outcome] += 1
            slowest, most = max(slowest, answer.seconds), max(most, answer.megabytes)
    print(f"{sum(outcomes.values()):,} of {options.count:,} mutated pictures came to an outcome")
    for outcome, count in outcomes.most_common():
        print(f"  {count:9,} {outcome}")
    print(f"  slowest {slowest:.2f} s of CPU time; most memory of a worker {most:,.0f} MB")


if __name__ == "__main__":
    # Under its name, so that workers can import what they are to do.
    from benchmarks.mutations import main as run

    run()
