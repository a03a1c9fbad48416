"""Is the learned mixture better? Two real corpora, free rules, an oracle, seeds and intervals."""
