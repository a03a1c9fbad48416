"""Reading domains: documents, splits, tokens, packed sequences, batches."""
