"""The one table: its values, what stands in it, which rows and columns it has, and how it is written."""
