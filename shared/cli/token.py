"""`tripod token`: a bearer token for a caller, signed with the shared secret of this installation."""

import os
import time

import click
import jwt

from shared.auth import ROLES, AuthSettings
from shared.cli.frame import as_json, print_json
from shared.env import Env
from shared.errors import SettingsError


@click.command()
@click.argument("sub")
@click.option("--role", "roles", multiple=True, type=click.Choice(sorted(ROLES)), help="May be repeated.")
@click.option("--uid", type=int, help="The number of the user, for APIs that need one.")
@click.option("--name", help="The user's name as others see it.")
@click.option("--seconds", type=click.IntRange(1), default=3600, show_default=True, help="How long it holds.")
@as_json
def token(
    *, sub: str, roles: tuple[str, ...], uid: int | None, name: str | None, seconds: int, json_: bool
) -> None:
    """Print a token for the user SUB. Needs TRIPOD_JWT_SECRET."""
    env = Env(os.environ)
    settings = AuthSettings.from_env(env)
    try:
        env.check()
    except SettingsError as error:
        raise click.ClickException(error.detail) from error
    if not settings.secret:
        raise click.ClickException(
            "TRIPOD_JWT_SECRET is not set: tokens come from whoever signs for TRIPOD_JWT_JWKS."
        )
    expires = int(time.time()) + seconds
    optional = {
        "uid": uid,
        "preferred_username": name,
        "iss": settings.issuer or None,
        "aud": settings.audience or None,
    }
    claims = {
        "sub": sub,
        "roles": list(roles),
        "exp": expires,
        **{k: v for k, v in optional.items() if v is not None},
    }
    made = jwt.encode(claims, settings.secret, "HS256")
    if json_:
        print_json({"token": made, "expires_at": expires})
    else:
        click.echo(made)
