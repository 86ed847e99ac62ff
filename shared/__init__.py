"""What every Tripod service shares: the wire, the broker, the object store, identity, errors and logs."""
