"""What goes wrong between a client and the server: no answer, or one that refuses."""

from shared.errors import TripodError

HOW_TO_SIGN_IN = (
    "give a token in TRIPOD_TOKEN or with --token; `make run` prints some, and `tripod token SUB` makes one where "
    "TRIPOD_JWT_SECRET is known"
)


class Unreachable(TripodError):
    """No answer came: no connection, or one that broke. What became of the request is not known."""

    code = "unreachable"
    title = "No answer"
    retryable = True


class Refused(TripodError):
    """The server's own refusal, in its words; `problem` is its document. With 401 the words tell how to sign in."""

    def __init__(self, status: int, problem: dict[str, object], *, retry_after: int | None = None) -> None:
        detail = str(problem.get("detail") or f"The server answers {status}.")
        hint = f" ({HOW_TO_SIGN_IN})" if status == 401 else ""
        super().__init__(detail + hint, retry_after=retry_after)
        self.answered = status
        self.problem = problem


def problem_of(error: TripodError) -> dict[str, object]:
    """For machines: the server's document, or one of the same form for what never reached it."""
    if isinstance(error, Refused):
        return error.problem
    return {"code": error.code, "detail": error.detail}
