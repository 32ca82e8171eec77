"""The record on a database: SQLite today, built so that PostgreSQL can follow.

engine      opens the database from a URL; the two kinds of transaction
migrate     brings the tables to this version, by way of
scripts     which runs `migrations` with alembic
tables      what is kept
records     the core's values as versioned JSON and back
guard       no key and no token is ever written
lease       who leads, and the epoch that fences everybody else
audit       the hash-chained record of who did what
outbox      messages to tell, delivered by the poster
store       one change, one transaction
faults      the library's exceptions as ours
"""
