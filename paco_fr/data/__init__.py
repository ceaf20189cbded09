"""Where pretraining faces come from. ``open`` is the one door."""
