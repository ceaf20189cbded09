"""The benchmarks: one declaration each, with the kinds, metrics and readers that they share."""
