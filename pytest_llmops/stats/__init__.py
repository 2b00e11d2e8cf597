"""Statistics and decisions. Pure: results in, verdicts out."""
