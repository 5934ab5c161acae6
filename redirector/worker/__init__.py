"""The process beside gunicorn that moves files: it fetches contents, keeps blobs, and pushes them to nodes.

It may be killed at any moment: what it writes is named by its hash or lies in a directory of its own, and what it was
doing is in the database, where it or another host's worker takes it up again.
"""
