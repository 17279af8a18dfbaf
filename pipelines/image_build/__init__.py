"""How the images are built: by a local engine or by Google Cloud Build, from one context and under one name."""
