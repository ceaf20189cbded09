"""Numbers: ``published`` from the literature with source and setting, ``reference`` measured by us."""
