"""The HTTP surface: requests in, one call of ours, answers out."""
