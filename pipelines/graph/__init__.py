"""The pipeline as a graph: what is fixed when compiling, what a task gets, what the engine can hold."""
