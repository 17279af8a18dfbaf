"""How fast an example of a record file is made and read: python benchmarks/records.py [EXAMPLES].

CPU time an example with three faces of 2.6 kB, the best of five rounds. TensorFlow's own reading is there for
comparison where TensorFlow is installed.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from fec.records import TripletExample, decode_example, frame, masked_crc

EXAMPLES = 20_000
FACE_BYTES = 2600
ROUNDS = 5


def seconds(function: Callable[[], Any], times: int) -> float:
    """CPU seconds of one call, of ``times`` in a round."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(times):
            function()
        best = min(best, (time.process_time() - start) / times)
    return best


def main() -> None:
    times = (int(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES) // ROUNDS
    draw = random.Random(0)
    a, b, c = (draw.randbytes(FACE_BYTES) for _ in range(3))
    example = TripletExample((a, b, c), ("0" * 16, "1" * 16, "2" * 16), 2, 1, (2, 2, 2, 1, 3, 2))
    payload = example.encode()
    work: dict[str, Callable[[], Any]] = {
        "encode": example.encode,
        "frame": lambda: frame(payload),
        "checksum": lambda: masked_crc(payload),
        "decode": lambda: decode_example(payload),
    }
    if importlib.util.find_spec("tensorflow"):
        import tensorflow as tf

        work["decode by TensorFlow, features untouched"] = lambda: tf.train.Example.FromString(payload)
    for name, function in work.items():
        print(f"{name}: {seconds(function, times) * 1e6:.1f} us")


if __name__ == "__main__":
    main()
