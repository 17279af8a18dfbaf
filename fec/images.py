"""The container images the components name until ``fec compile`` is given others."""

from typing import Final

DATA_IMAGE: Final = "ghcr.io/fec-pipeline/fec-data:latest"
TRAIN_IMAGE: Final = "ghcr.io/fec-pipeline/fec-train:latest"
