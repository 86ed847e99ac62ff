"""Where the five older APIs come in: one thin module each, over the functions that our own routes use.

A module here has no SQL. It gives `handlers` for `create_app`, takes requests in its own shape, calls `queries` and
`commands`, and shapes what they return. None is built yet.
"""
