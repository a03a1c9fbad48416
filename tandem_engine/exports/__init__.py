"""The mixture as other teams' trainers read it, in the unit that each of them counts in."""
