from components.datagen.parameters import Parameters
from components.datagen.step import run
from fec.command import main

main(Parameters, run, "python -m components.datagen", "Write the TFRecord files of a group of record shards.")
