"""What the plan step takes of a list as large as the published one: python benchmarks/plan.py [ROWS].

The file is that of annotations.py: 500,000 rows over 160,000 photographs. Start-up is counted.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.annotations import ROWS, generate

SHARDS: Final = 2000


def main() -> None:
    if len(sys.argv) == 3:
        planned(sys.argv[1], sys.argv[2])
        return
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "faceexp-comparison-data-train-public.csv")
        generate(path, rows)
        print(f"{rows:,} rows, {path.stat().st_size / 1e6:.0f} MB", flush=True)
        subprocess.run([sys.executable, __file__, str(path), f"{folder}/root"], check=True)


def planned(annotations: str, root: str) -> None:
    """Plan once, and print what it took."""
    from components.plan.step import Parameters, run

    started = time.perf_counter()
    run(Parameters(root, "train", annotations, num_shards=SHARDS))
    elapsed, cpu = time.perf_counter() - started, time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"planned: {cpu:.1f} CPU s ({elapsed:.1f} s), peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
