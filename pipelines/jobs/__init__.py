"""The data steps as one Indexed Job on plain Kubernetes, without Kubeflow."""
