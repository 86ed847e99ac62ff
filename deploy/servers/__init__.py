"""The real servers of the embedded stack, one file each, started from wheels."""
