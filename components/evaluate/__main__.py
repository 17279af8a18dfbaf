from components.evaluate.step import Parameters, run
from fec.command import main

main(Parameters, run, "python -m components.evaluate", "Measure a trained model and write the report.")
