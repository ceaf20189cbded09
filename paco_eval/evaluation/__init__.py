"""One measurement, from a task to its rows. Read ``runner`` first."""
