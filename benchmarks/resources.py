"""What the plan of the published size takes, beside what its task asks for: python benchmarks/resources.py [ROWS].

What the other steps take is printed by benchmarks/download.py (CPU seconds for 1,000 fetches, peak), faces.py and
datagen.py --scale (collect and datagen at 500,000 triplets); components/resources.py says what follows from it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.annotations import ROWS, generate
from components.resources import RESOURCES


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder, "fec.csv")
        generate(csv, rows)
        options = ["--root", f"{folder}/root", "--split", "train", "--annotations", str(csv), "--num-shards", "2000"]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "components.plan", *options], check=True, capture_output=True)
        seconds, took = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = RESOURCES["plan"]
    print(f"plan of {rows:,} rows: {took.ru_utime + took.ru_stime:.1f} CPU s in {seconds:.1f} s, ", end="")
    print(f"peak {took.ru_maxrss / 1024:,.0f} MB; it asks for {asked.cpu_request} cores and {asked.memory_request}")


if __name__ == "__main__":
    main()
