"""``python -m components.plan``."""

from components.plan.parameters import Parameters
from components.plan.step import run
from fec.command import main

if __name__ == "__main__":
    main(Parameters, run, "python -m components.plan", "Plan a split: images, faces, triplets, shards and groups.")
