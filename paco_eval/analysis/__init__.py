"""Numbers out of rows: intervals, paired differences, what may be claimed."""
