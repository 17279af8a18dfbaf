from components.evaluate.parameters import Parameters
from components.evaluate.step import run
from fec.command import main

main(Parameters, run, "python -m components.evaluate", "Measure a trained model and write the report.")
