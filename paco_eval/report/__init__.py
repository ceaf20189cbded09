"""Numbers to look at: tables in three text formats, figures, and one page with all of them."""
