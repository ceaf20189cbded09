"""What is printed of rows: tables as data, which of them papers show, and three text formats."""
