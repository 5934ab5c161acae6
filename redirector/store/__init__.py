"""What lasts: registry, intent, board, lease, events, counters. One schema over SQLite and PostgreSQL.

Each module here speaks for one thing and gets the `Database`; only this package imports SQLAlchemy. Whatever goes wrong
with the database leaves it as `errors.DatabaseAwayError`.
"""
