"""Ingest: takes uploads, streams them into the object store and announces them. No database, no pixels."""
