"""The networks of ``keras.applications`` and how each wants its pixels: known without importing TensorFlow.

A wrong normalisation or channel order is the commonest mistake of public code: the weights load, and the accuracy is
that of noise. A test holds each row against the ``preprocess_input`` of keras.applications.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

# Of RGB 0..255: left as it is, since the network begins with its own scaling; -1..1; each channel less the mean of
# ImageNet, over its deviation; blue first, less the mean.
RAW: Final = "raw"
SCALED: Final = "scaled"
STANDARD: Final = "standard"
BLUE_FIRST: Final = "blue first"
# Such that the network's own scaling ends a root of ImageNet's deviation farther from the mean. Keras adds that factor
# to an EfficientNet whose weights it downloads, but not to one that is built for a file of the same weights.
FARTHER: Final = "farther from the mean"

NORMALISATIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys([f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")], RAW),
    **dict.fromkeys(["DenseNet121", "DenseNet169", "DenseNet201"], STANDARD),
    **dict.fromkeys([f"EfficientNetB{number}" for number in range(8)], FARTHER),
    **dict.fromkeys([f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")], RAW),
    **dict.fromkeys(["InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "Xception"], SCALED),
    **dict.fromkeys(["MobileNetV3Large", "MobileNetV3Small"], RAW),
    **dict.fromkeys(["NASNetLarge", "NASNetMobile", "ResNet101V2", "ResNet152V2", "ResNet50V2"], SCALED),
    **dict.fromkeys(["ResNet101", "ResNet152", "ResNet50", "VGG16", "VGG19"], BLUE_FIRST),
}


def is_preset(backbone: str) -> bool:
    """Whether that is the folder of a preset of keras-hub, a path or an address, and no name."""
    return "/" in backbone


def refuse_backbone(name: str) -> str:
    """What is wrong with the name of a backbone; "" for one that is known, for a folder, and for none."""
    if not name or is_preset(name) or name in NORMALISATIONS:
        return ""
    near = difflib.get_close_matches(name, NORMALISATIONS, 1)
    meant = f"; did you mean {near[0]}?" if near else f": {', '.join(sorted(NORMALISATIONS))}"
    return (
        "expected a network of keras.applications whose normalisation is known, or a folder (with a /) that holds a "
        f"preset of keras-hub{meant}"
    )
