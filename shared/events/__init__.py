"""The broker: what is said on it (messages), where (topology), and how (bus and its two implementations)."""
