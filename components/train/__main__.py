from components.train.parameters import Parameters
from components.train.step import run
from fec.command import main

main(Parameters, run, "python -m components.train", "Train an embedding on the records.")
