"""The processor: derives variants, metadata and fingerprints from originals. It owns the variants."""
