"""``python -m pipelines.t2t datagen|trainer FLAGS``: the real t2t-datagen and t2t-trainer, with ours registered.

They cannot be started by their own names: Tensor2Tensor has to be mended before it is imported.
"""

from __future__ import annotations

import sys

from fec.command import reported
from pipelines.t2t.programs import become

if __name__ == "__main__":
    with reported():
        become(sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:])
