"""Pictures to features, once: prepared ahead, encoded, cached. Read ``extract`` first, then ``fill``."""
