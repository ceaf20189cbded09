"""What several kinds share: reading labels, beginning items, comparing embeddings."""
