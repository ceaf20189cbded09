"""Why a number is low: what is looked at, what is tried one change at a time, and what is then said."""
