"""What t2t-datagen has no flag for and takes from its environment instead."""

from __future__ import annotations

import os
from typing import Final

from fec.errors import ConfigurationError

# The storage root, where --tmp_dir cannot name it; the records then stay in it.
ROOT: Final = "FEC_ROOT"
# Pixels a side of the faces in the records.
IMAGE_SIZE: Final = "FEC_IMAGE_SIZE"
_DEFAULT_IMAGE_SIZE: Final = 64


def root_beside_tmp_dir() -> str | None:
    """The value of FEC_ROOT, or None."""
    return os.environ.get(ROOT) or None


def image_size() -> int:
    """The value of FEC_IMAGE_SIZE, 64 without one; ConfigurationError if it is no number."""
    text = os.environ.get(IMAGE_SIZE, str(_DEFAULT_IMAGE_SIZE))
    if not text.isdecimal():
        raise ConfigurationError(f"{IMAGE_SIZE} {text!r}: expected a number of pixels")
    return int(text)
