from components.download.parameters import Parameters
from components.download.step import run
from fec.command import main

main(Parameters, run, "python -m components.download", "Fetch the images of a group of shards.")
