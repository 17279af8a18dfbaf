"""Tensor2Tensor's own interpreter, seen from the main environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from fec.errors import ConfigurationError

# Names the interpreter.
VARIABLE: Final = "FEC_T2T_PYTHON"
_PROJECT: Final = Path(__file__).parents[2]
_ADVICE: Final = (
    f"make install-t2t makes .venv-t2t (Python 3.11, 3 GB); --t2t-python PATH or {VARIABLE} names another interpreter"
)
_LOOK: Final = "import sys, importlib.util as i; sys.exit(i.find_spec('tensor2tensor') is None)"


def find(named: str = "") -> Path:
    """The interpreter ``named``, or that of FEC_T2T_PYTHON, or that of .venv-t2t here or in the checkout.

    Raises ConfigurationError if there is none, or if it has no Tensor2Tensor.
    """
    asked = named or os.environ.get(VARIABLE, "")
    places = [Path(asked)] if asked else [folder / ".venv-t2t/bin/python" for folder in (Path.cwd(), _PROJECT)]
    # Not resolved: an environment is known by the path of its interpreter, which is a link.
    found = next((place.absolute() for place in places if place.is_file() and os.access(place, os.X_OK)), None)
    if found is None:
        raise ConfigurationError(f"no interpreter with Tensor2Tensor at {places[0]}; {_ADVICE}")
    if subprocess.run([str(found), "-c", _LOOK], capture_output=True, check=False).returncode != 0:  # noqa: S603
        raise ConfigurationError(f"{found} has no Tensor2Tensor; {_ADVICE}")
    return found


def environment() -> dict[str, str]:
    """That of a process of the interpreter: with this checkout, unless the project is installed there."""
    values = dict(os.environ)
    values.pop("PYTHONPATH", None)
    if (_PROJECT / "pyproject.toml").is_file():
        values["PYTHONPATH"] = str(_PROJECT)
    return values
