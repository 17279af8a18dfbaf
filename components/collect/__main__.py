from components.collect.parameters import Parameters
from components.collect.step import run
from fec.command import main

main(Parameters, run, "python -m components.collect", "Keep the triplets whose three faces survived.")
