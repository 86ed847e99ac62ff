"""What `make run` prints once all is up: the address, a token for each kind of caller, commands to paste."""

import shlex

from rich.console import Console

from deploy import seed, services
from deploy.stack import EmbeddedStack

CALLERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("user 1 (owns the demo entities)", seed.OWNER, ()),
    ("another user", "2", ()),
    ("moderator", "800", ("moderator",)),
    ("admin", "900", ("admin",)),
    ("service (another back end)", "backend", ("service",)),
)


def welcome(stack: EmbeddedStack, console: Console, seconds: float) -> None:
    """Everything a person needs to use the running stack."""
    url = stack.origin_url
    console.print(
        f"\n[bold green]Tripod is ready[/] at [bold]{url}[/] after {seconds:.1f} s", highlight=False
    )
    places = {
        "try it": f"{url}/docs",
        "reference": f"{url}/redoc",
        "upload": f"{url}/static/media-upload-test.html",
        "events": f"{url}/static/websocket-test.html",
        "media": f"{url}/admin/mediafiles/media/",
        "health": f"{url}/health/ready",
        "metrics": metrics(stack),
        "data": str(stack.folder.root),
        "logs": str(stack.folder.logs),
    }
    for name, place in places.items():
        console.out(f"  {name:<10} {place}", highlight=False)
    console.print("\n[bold]Tokens[/] (30 days)", highlight=False)
    for who, sub, roles in CALLERS:
        console.print(f"{who}, sub {sub!r}:", style="dim", highlight=False)
        console.out(stack.token(sub, *roles), highlight=False)
    console.print("\n[bold]Commands[/]", highlight=False)
    for line in commands(url, stack.token(seed.OWNER)):
        console.out(line, highlight=False)
    console.print("\nCtrl-C stops everything; what is stored stays.", style="dim")


def commands(url: str, token: str) -> list[str]:
    """Lines for a shell: upload, list, ask, download; with curl and with our own command."""
    auth = '-H "Authorization: Bearer $TOKEN"'
    return [
        f"export TOKEN={token} TRIPOD_URL={url}; export TRIPOD_TOKEN=$TOKEN",
        f"curl {auth} -F file=@photo.jpg {url}/v1/uploads",
        f"curl {auth} -T photo.jpg {url}/v1/uploads/raw/photo.jpg",
        f"curl {auth} {url}/v1/media",
        f"curl {auth} {url}/v1/media/MED-...          # the public_id of an answer above",
        f"curl {auth} -OJ {url}/v1/media/MED-.../download",
        ".venv/bin/tripod upload photos/          # a folder; again sends only what is new",
        ".venv/bin/tripod watch",
    ]


def metrics(stack: EmbeddedStack) -> str:
    if stack.config.separate:
        return ", ".join(
            f"{url}/metrics" for url in (stack.ingest_url, stack.catalog_url, stack.processor_url)
        )
    host = f"http://127.0.0.1:{stack.ports.metrics}"
    return f"{host}/ingest/metrics, {host}/catalog/metrics, {stack.processor_url}/metrics"


def servers_welcome(stack: EmbeddedStack, console: Console, seconds: float) -> None:
    """The environment that a service started by hand needs."""
    console.print(f"[bold green]servers are ready[/] after {seconds:.1f} s; the services' environment:")
    for name, value in services.environment(stack).items():
        console.out(f"export {name}={shlex.quote(value)}", highlight=False)
