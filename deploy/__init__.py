"""Everything that runs Tripod: the embedded stack, the route table, the origin and the demo."""
