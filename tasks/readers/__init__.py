"""Readers of official file layouts: each turns files under a data root into face records, or says why not."""
