"""Measures several ways of doing one thing in turns, so that what disturbs the machine disturbs all of them."""

from collections.abc import Callable, Mapping

from rich.console import Console

Ways = Mapping[str, Callable[[], float]]


def interleaved(console: Console, what: str, ways: Ways, rounds: int) -> dict[str, list[float]]:
    """Each way's figures, one per round. A first round, not counted, warms connections and caches; every second
    round goes backwards, so that no way always comes after the same other."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        names = list(ways) if number % 2 == 0 else list(reversed(list(ways)))
        for name in names:
            console.print(f"[dim]{what}, round {number} of {rounds}: {name}[/]", highlight=False)
            figure = ways[name]()
            if number:
                found[name].append(figure)
    return found
