"""Jobs: life cycle, leases, trajectory, events and their HTTP endpoints."""
