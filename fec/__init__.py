"""What the steps share: the vocabulary, the file formats and the storage root."""
