"""How many faces on their head are told from upright ones, however tilted: python benchmarks/upside_down.py.

The packages' three portraits and their mirror images, as they are, blurred, small and dark, turned by -60 to 60
degrees, upright and by half a turn more; verified as the faces step does it.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import cv2
import numpy as np

from benchmarks.face_sets import CHANGES, FACES, photograph
from components.faces import detectors
from components.faces.parameters import Parameters
from components.faces.verification import WantedFace, verify_image
from fec.boxes import Box
from fec.outcomes import FaceOutcome
from fec.pixels import RGB, encode_jpeg

LOOKS: Final = ("as packaged", "blurred", "a quarter", "dark")
TILTS: Final = {"up to 10 degrees": (0, 10), "20 and 30": (20, 30), "40 to 60": (40, 50, 60)}
CRITERIA: Final = Parameters("none", "train")


def turned(rgb: RGB, box: Box, degrees: float) -> RGB:
    """The picture turned about the middle of the box."""
    height, width = rgb.shape[:2]
    middle = (box.left + box.right) / 2 * width, (box.top + box.bottom) / 2 * height
    matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
    return np.asarray(cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


def main() -> None:
    detector = detectors.load("yunet")
    people = [(photograph(name), box) for name, box in FACES.items()]
    people += [
        (np.ascontiguousarray(rgb[:, ::-1]), Box(1 - box.right, 1 - box.left, box.top, box.bottom))
        for rgb, box in people
    ]
    pictures = [(CHANGES[look](rgb, box), box) for rgb, box in people for look in LOOKS]
    for name, tilts in TILTS.items():
        for start, what in ((0, "upright"), (180, "on their head")):
            found: Counter[FaceOutcome] = Counter()
            for rgb, box in pictures:
                for degrees in {sign * tilt for tilt in tilts for sign in (-1, 1)}:
                    picture = encode_jpeg(turned(rgb, box, start + degrees), 95)
                    [verdict] = verify_image(picture, [WantedFace("0", "0", box, "crop.jpg")], CRITERIA, detector)
                    found[verdict.face.outcome] += 1
            told = ", ".join(f"{count} {outcome}" for outcome, count in found.most_common())
            print(f"turned by {name}, {what}: {told}")


if __name__ == "__main__":
    main()
