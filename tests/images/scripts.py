"""The scripts of the build stage as modules; ``images`` is no package."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


def script(name: str) -> ModuleType:
    """The module ``images/<name>.py``."""
    spec = spec_from_file_location(name, Path(__file__).parents[2] / "images" / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
