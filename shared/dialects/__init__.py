"""What both services need to speak the APIs of the five older upload systems: who a user is, and what an answer shows.

One module per system holds its shapes and texts; `services/ingest/dialects` and `services/catalog/dialects` hold its
routes, each a thin layer over the functions that our own API uses.
"""
