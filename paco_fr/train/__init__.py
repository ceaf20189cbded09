"""The loop: batches, schedule, steps, states of an unfinished run, what a run logs and shows."""
