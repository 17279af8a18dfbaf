"""What decoding may take of a worker process, so that a hostile picture costs that process and nothing else."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# CPU seconds for the decoding of one picture: the largest that --max-pixels lets in takes 1 (JPEG) to 5 (AVIF).
SECONDS: Final = 20.0
_SECONDS_A_PIXEL: Final = 2e-7
# The most that a decoder takes for a pixel (PNG with transparency), and what everything else may take.
_BYTES_A_PIXEL: Final = 14
_BYTES_BESIDE: Final = 256 << 20


def seconds(max_pixels: int) -> float:
    """CPU seconds that one picture may take to be decoded."""
    return max(SECONDS, max_pixels * _SECONDS_A_PIXEL)


def limit_memory(max_pixels: int) -> None:
    """Let this process take no more memory than one picture of ``max_pixels`` needs beside what it has now.

    What it asks for beyond that is refused, which is a MemoryError or a decoder's own error. Linux only.
    """
    if sys.platform != "linux":
        return
    import resource

    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmData:")]
    allowed = int(line.split()[1]) * 1024 + max_pixels * _BYTES_A_PIXEL + _BYTES_BESIDE
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


@contextmanager
def cpu_time(limit: float) -> Iterator[None]:
    """End this process, by SIGPROF, if what is done meanwhile takes more than ``limit`` seconds of CPU time.

    A decoder hears of nothing else: no exception reaches it.
    """
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
