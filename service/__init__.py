"""HTTP interface, business rules and tables; of the engine only contracts, errors and presets."""
