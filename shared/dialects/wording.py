"""Lets a dialect word refusals as its document does: the same error, with the text and status that clients know."""

from collections.abc import Callable
from typing import Any, TypeAlias

from litestar import Request, Response
from litestar.types import ExceptionHandlersMap

from shared import problem
from shared.errors import TripodError

Reword: TypeAlias = Callable[[TripodError], TripodError]
"""The error as the dialect's clients know it; the same one where its document says nothing of it."""


def worded(reword: Reword) -> ExceptionHandlersMap:
    """For `exception_handlers` of a dialect's router."""

    def answer(request: Request[Any, Any, Any], error: TripodError) -> Response[bytes]:
        return problem.answer(request, reword(error))

    return {TripodError: answer}
