"""What a task of each step asks of its node, and what it may use there at the most: the one table of them.

From it follow the defaults of the run's form, the requests of the compiled tasks, the pods of ``fec jobs`` and the
node pools of docs/cluster.md. A scheduler goes by the requests: they are what a step was seen to take, with room. The
limits are for bursts, and for what one hostile picture can ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Resources:
    """Kubernetes quantities: what is kept free for a pod, and what it may use."""

    cpu_request: str
    cpu: str
    memory_request: str
    memory: str


# Measured by benchmarks/resources.py (plan), download.py, faces.py and datagen.py --scale (collect, datagen).
RESOURCES: Final[Mapping[str, Resources]] = {
    # One core for ten seconds.
    "plan": Resources("500m", "1", "1Gi", "4Gi"),
    # 20 requests a second are 3 % of a core; 64 answers of 32 MB may be on their way at a time.
    "download": Resources("100m", "1", "512Mi", "4Gi"),
    # A worker a core; a picture of 12,000 x 9,000 takes 340 MB in one.
    "faces": Resources("1500m", "3", "1536Mi", "6Gi"),
    # 340 MB for all published triplets.
    "collect": Resources("500m", "1", "512Mi", "4Gi"),
    # A thread a core; 206 MB for all published triplets.
    "datagen": Resources("1500m", "3", "1Gi", "6Gi"),
    "train": Resources("3", "3", "6Gi", "12Gi"),
    "evaluate": Resources("1", "3", "2Gi", "8Gi"),
}
