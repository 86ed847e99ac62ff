"""Processor: derives variants, metadata and fingerprints from originals, one contained child per file."""
