"""The pipeline on Kubeflow Pipelines: the API's endpoint, and a run brought there."""
