"""The engine behind `embreg.TextEmbedder`: strings to token ids, batches, backends, vectors."""
