"""Colours as the annotators saw them: a browser turns a picture with a profile into the screen's, taken to be sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageCms

from fec.codecs import RGB

# A profile that moves no colour by more than this many levels of 255 is sRGB by another name, and is left alone.
SAME: Final = 3
_LEVELS: Final = np.linspace(0, 255, 6, dtype=np.uint8)
_PROBE: Final[RGB] = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS), axis=-1).reshape(36, 6, 3)


def to_srgb(rgb: RGB, icc: bytes) -> RGB:
    """``rgb`` from the profile ``icc`` to sRGB, by relative colorimetry.

    The same pixels where there is no profile, where it is sRGB's, of another colour space than RGB, or broken.
    """
    transform = _transform(icc) if icc else None
    return rgb if transform is None else _applied(transform, rgb)


@lru_cache(maxsize=64)
def _transform(icc: bytes) -> ImageCms.ImageCmsTransform | None:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if profile.profile.xcolor_space.strip() != "RGB":
            return None
        transform = ImageCms.buildTransform(
            profile, ImageCms.createProfile("sRGB"), "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
        moved = np.abs(_applied(transform, _PROBE).astype(int) - _PROBE).max()
    except Exception:  # noqa: BLE001 - hostile metadata of a sound picture
        return None
    return None if moved <= SAME else transform


def _applied(transform: ImageCms.ImageCmsTransform, rgb: RGB) -> RGB:
    return np.asarray(transform.apply(Image.fromarray(np.ascontiguousarray(rgb))))
