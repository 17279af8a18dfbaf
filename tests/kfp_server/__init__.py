"""A small Kubeflow Pipelines API on loopback that checks every request against the published definition."""
