"""How fast the annotations are read, and in how much memory: python benchmarks/annotations.py [ROWS].

The file has the published one's shape: 500,000 rows over 160,000 photographs, six raters and sometimes more.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = 500_000
IMAGES_A_ROW = 160_000 / ROWS
TYPES = ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")


def generate(path: Path, rows: int, seed: int = 0) -> None:
    """Write an FEC-shaped CSV of ``rows`` rows."""
    draw = random.Random(seed)
    faces = []
    for number in range(int(rows * IMAGES_A_ROW) + 3):
        left, top = draw.uniform(0, 0.6), draw.uniform(0, 0.6)
        box = (left, left + draw.uniform(0.1, 0.4), top, top + draw.uniform(0.1, 0.4))
        host = (
            f"farm{number % 9}.staticflickr.com" if number % 5 < 3 else f"blog{number % 4001}.example{number % 97}.com"
        )
        url = f"https://{host}/{number % 8999}/{number:010d}_{draw.getrandbits(40):010x}_o.jpg"
        faces.append(f'"{url}",' + ",".join(f"{edge:.6f}" for edge in box))
    with path.open("w") as file:
        for _ in range(rows):
            votes = ",".join(
                f"{draw.randrange(2000)},{draw.randint(1, 3)}" for _ in range(6 if draw.random() < 0.9 else 9)
            )
            file.write(f"{','.join(draw.sample(faces, 3))},{draw.choice(TYPES)},{votes}\n")


def main() -> None:
    if len(sys.argv) == 3:
        read(sys.argv[2])
        return
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "faceexp-comparison-data-train-public.csv")
        generate(path, rows)
        print(f"{rows:,} rows, {path.stat().st_size / 1e6:.0f} MB")
        subprocess.run([sys.executable, __file__, "read", str(path)], check=True)


def read(path: str) -> None:
    from fec.annotation_blocks import read_blocks
    from fec.annotation_faces import Faces

    start, started = time.process_time(), time.perf_counter()
    rows = sum(block.rows for block in read_blocks(path, "train", Faces()))
    seconds, elapsed = time.process_time() - start, time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"read {rows:,} rows: {seconds:.1f} CPU s ({elapsed:.1f} s), {rows / seconds:,.0f} rows/s, peak {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
