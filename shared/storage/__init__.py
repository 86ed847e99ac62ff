"""The object store: what it promises (blobs), how keys are named (keys), and its two implementations."""
