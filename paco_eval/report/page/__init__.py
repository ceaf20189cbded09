"""One self-contained page: template, style, script, and what they are filled with."""
