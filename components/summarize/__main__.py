"""``python -m components.summarize``."""

from components.summarize.parameters import Parameters
from components.summarize.step import run
from fec.command import main

if __name__ == "__main__":
    main(Parameters, run, "python -m components.summarize", "Write down how a run ended and how far it came.")
