"""What verifying faces while a download waits for its host gains: python benchmarks/ahead.py [PICTURES] [RATE].

The packages' photographs of benchmarks/faces.py under PICTURES URLs of one host on loopback, which is asked RATE times
a second: ``fec run --until crops`` with and without, in turn, by the clock and by CPU time, how many of the faces were
verified when the download was done, and whether the bytes are the same.
"""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from benchmarks.boxed_photographs import Photograph
from benchmarks.faces import packaged

PICTURES: Final = 1200
RATE: Final = 40.0
ROUNDS: Final = 2
EVAL: Final = 6
MODES: Final = ("off", "on")
FIGURES: Final = ("wall", "cpu", "after", "ahead")
_AHEAD: Final = re.compile(r"([\d,]+) faces were verified while")


@dataclass(frozen=True)
class Taken:
    """Seconds of one run by the clock and of CPU, those from the end of train's download to the end of its faces, faces
    verified ahead, and a digest of all crops and manifests."""

    wall: float
    cpu: float
    after: float
    ahead: int
    digest: str


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    photographs: tuple[Photograph, ...] = ()

    def do_GET(self) -> None:
        """Give the photograph of the path's number."""
        name = self.path.rpartition("/")[2].partition(".")[0]
        data = self.photographs[int(name) % len(self.photographs)].data if name.isdecimal() else b""
        self.send_response(200 if data else 404)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(photographs: list[Photograph]) -> Iterator[str]:
    """The address of a host that has them, while the context lasts."""
    _Handler.photographs = tuple(photographs)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_list(path: Path, address: str, photographs: list[Photograph], numbers: range) -> None:
    """A list as FEC's with these numbers' photographs, three neighbours a triplet."""
    cells = []
    for number in numbers:
        left, right, top, bottom = photographs[number % len(photographs)].boxes[0]
        cells.append(f"{address}/{number}.jpg,{left},{right},{top},{bottom}")
    lines = [f"{','.join(cells[at : at + 3])},ONE_CLASS_TRIPLET,a,1,b,1,c,1" for at in range(0, len(cells) - 2, 3)]
    path.write_text("\n".join(lines) + "\n")


def run(folder: Path, mode: str, rate: float) -> Taken:
    """One run into a root of its own, which is removed."""
    root = folder / "root"
    words = [sys.executable, "-m", "pipelines.cli", "run", "--root", str(root), "--until", "crops", "--ahead", mode]
    words += ["--train-csv", str(folder / "train.csv"), "--eval-csv", str(folder / "eval.csv")]
    words += ["--requests-per-second", str(rate), "--allow-network", "127.0.0.0/8", "--json"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    digest = hashlib.sha256()
    for split in ("train", "eval"):
        for path in sorted((root / split).rglob("*")):
            if path.name.startswith("cropped@") or path.name == "faces.parquet":
                digest.update(path.name.encode() + path.read_bytes())
    downloaded, verified = (
        max(path.stat().st_mtime for path in (root / name).glob("*/_DONE.json")) for name in ("images/train", "train")
    )
    shutil.rmtree(root)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    ahead = sum(int(number.replace(",", "")) for number in _AHEAD.findall(done.stderr))
    return Taken(wall, cpu, verified - downloaded, ahead, digest.hexdigest())


def main() -> None:
    pictures = int(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else RATE
    photographs = packaged(progressive=False)
    taken: dict[str, list[Taken]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory() as name, served(photographs) as address:
        folder = Path(name)
        write_list(folder / "train.csv", address, photographs, range(pictures))
        write_list(folder / "eval.csv", address, photographs, range(pictures, pictures + EVAL))
        for _ in range(ROUNDS):
            for mode in MODES:
                taken[mode].append(run(folder, mode, rate))
    load = os.getloadavg()[0]
    print(f"{pictures:,} pictures at {rate:g} a second: {pictures / rate:.0f} s at least; {os.cpu_count()} cores")
    print(f"load {load:.1f}, medians of {ROUNDS} runs in turn")
    for mode in MODES:
        wall, cpu, after, ahead = (statistics.median(getattr(one, name) for one in taken[mode]) for name in FIGURES)
        print(
            f"--ahead {mode:3}  {wall:6.1f} s by the clock, {after:5.1f} of them after the download  {cpu:6.1f} CPU s  "
            f"{ahead / (pictures + EVAL):4.0%} of the faces ahead"
        )
    off, on = (statistics.median(one.wall for one in taken[mode]) for mode in MODES)
    after_off, after_on = (statistics.median(one.after for one in taken[mode]) for mode in MODES)
    print(f"ahead takes {on / off:.2f} of the time, and {after_on / after_off:.2f} of what comes after the download")
    same = len({one.digest for runs in taken.values() for one in runs}) == 1
    print(f"crops and manifests: {'the same bytes' if same else 'NOT THE SAME BYTES'}")


if __name__ == "__main__":
    main()
