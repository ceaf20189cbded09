"""What happens to one picture of a face: decoded, cut by its landmarks, resized, prepared."""
