"""`make bench`: how fast the system is, as ratios to named baselines measured in the same interleaved run."""
