"""What ``data describe`` shows: faces, perturbations, a checkpoint."""
