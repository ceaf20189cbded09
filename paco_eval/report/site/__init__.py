"""The leaderboard as a static site: the one table with filters, and a page for every encoder and task."""
