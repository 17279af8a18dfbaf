"""A trained model in use: the faces of one's own photographs as embeddings."""
