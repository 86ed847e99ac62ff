"""The APIs of older upload systems, one thin module each, over the same functions that our own routes use.

A dialect is a module with `ROUTES`, a tuple of Litestar handlers. It turns its request into a `Source` and
`Wish` for `services.ingest.upload.upload`, and the answer into its own shape; it never touches the broker or the
store itself. `services.ingest.app` mounts the handlers of the modules that `MOUNTED` names.
"""

from litestar.types import ControllerRouterHandler

MOUNTED: tuple[tuple[ControllerRouterHandler, ...], ...] = ()
