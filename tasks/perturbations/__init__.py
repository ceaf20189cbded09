"""What happens to the canvas of a face before an encoder resizes it. Read ``catalogue`` first, then ``apply``."""
