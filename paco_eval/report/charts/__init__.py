"""What a report draws, as data, and how it comes out of rows."""
