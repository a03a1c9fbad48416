"""Speed and memory of planning a mixture and of writing its corpus."""
