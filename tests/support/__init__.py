"""What several tests share: analytic problems, tiny corpora."""
