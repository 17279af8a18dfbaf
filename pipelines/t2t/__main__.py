"""``python -m pipelines.t2t datagen|trainer FLAGS``: the real t2t-datagen and t2t-trainer, with ours registered.

They cannot be started by their own names: Tensor2Tensor has to be mended before it is imported.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from fec.command import reported
from fec.errors import ConfigurationError

PROGRAMS = {"datagen": "tensor2tensor.bin.t2t_datagen", "trainer": "tensor2tensor.bin.t2t_trainer"}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    with reported():
        if name not in PROGRAMS:
            raise ConfigurationError(f"program {name!r}: expected one of {', '.join(PROGRAMS)}, then its flags")
    sys.argv = [f"t2t-{name}", f"--t2t_usr_dir={Path(__file__).parent}", *sys.argv[2:]]
    runpy.run_module(PROGRAMS[name], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
