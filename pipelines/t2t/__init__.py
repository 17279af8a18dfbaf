"""The dataset for Tensor2Tensor 1.15: its programs with our Problems and model, and both as steps of the pipeline.

Importing this imports nothing of Tensor2Tensor, which is not there where the pipeline is compiled.
"""
