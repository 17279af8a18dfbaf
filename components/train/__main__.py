from components.train.step import Parameters, run
from fec.command import main

main(Parameters, run, "python -m components.train", "Train an embedding on the records.")
