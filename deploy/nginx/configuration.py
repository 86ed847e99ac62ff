"""Writes nginx's configuration: the template with the route table, the pages and the edge's own problem documents."""

import textwrap
from pathlib import Path

from deploy.asgi import Answer, refusal
from deploy.nginx.files import ROOT, Page
from deploy.routes import nginx_map
from shared.errors import NotFound, TripodError, Unavailable

TEMPLATE = Path(__file__).with_name("nginx.conf.in")


def configuration(pages: list[Page]) -> str:
    """The whole of nginx.conf, for these pages below ROOT."""
    text = TEMPLATE.read_text()
    for mark, lines in {
        "@ROUTES@": indented(nginx_map(), 4),
        "@PAGES@": indented("\n".join(location(page) for page in pages), 8),
        "@NOTHING@": problem(NotFound("Nothing is at this address.")),
        "@UNAVAILABLE@": problem(
            Unavailable("A service behind this address does not answer.", retry_after=2)
        ),
        "@UNREADY@": problem(Unavailable("A service is not ready.", retry_after=2)),
    }.items():
        text = text.replace(mark, lines)
    return text


def location(page: Page) -> str:
    """Exact paths only: nothing else below the root can be asked for."""
    if page.file is None:
        return f"location = {page.path} {{\n    return {page.answer.status} {page.answer.headers['Location']};\n}}"
    return "\n".join(
        [
            f"location = {page.path} {{",
            *("    access_log off;", "    types { }", "    charset off;"),
            f"    default_type {quoted(page.answer.content_type)};",
            *headers(page.answer),
            "    error_page 405 = @nothing;",
            f"    alias {ROOT}/{page.file};",
            "}",
        ]
    )


def problem(error: TripodError) -> str:
    answer = refusal(error)
    lines = [
        f"    default_type {quoted(answer.content_type)};",
        *headers(answer),
        f"    return {answer.status} {quoted(answer.body.decode())};",
    ]
    return indented("\n".join(lines), 8)


def headers(answer: Answer) -> list[str]:
    return [f"    add_header {name} {quoted(value)} always;" for name, value in answer.headers.items()]


def quoted(text: str) -> str:
    """An nginx string. A dollar would begin a variable, and nginx knows no escape for it."""
    if "$" in text:
        raise ValueError(f"nginx cannot say {text!r}: it would read a variable")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def indented(text: str, spaces: int) -> str:
    return textwrap.indent(text.rstrip("\n"), " " * spaces)
