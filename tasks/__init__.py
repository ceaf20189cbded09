"""The benchmarks: one declaration each, with the kinds, heads, metrics and readers that they share."""
