"""``python -m components.faces``."""

from components.faces.parameters import Parameters
from components.faces.step import run
from fec.command import main

if __name__ == "__main__":
    main(
        Parameters, run, "python -m components.faces", "Verify faces: crop each published box, keep those with a face."
    )
