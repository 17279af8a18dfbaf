"""``python -m pipelines.t2t.watched datagen|trainer FLAGS``: the same as ``python -m pipelines.t2t`` for a step.

Its standard input is a lifeline: when it ends, the step is dead, and so is everything here a moment later.
"""

from __future__ import annotations

import sys

from fec.command import reported
from pipelines.local.process import lifeline
from pipelines.t2t.programs import become

if __name__ == "__main__":
    with lifeline(), reported():
        become(sys.argv[1], sys.argv[2:])
