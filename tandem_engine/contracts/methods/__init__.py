"""Settings of the methods that learn a mixture."""
