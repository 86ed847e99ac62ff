"""Shows what the demo saw, for people."""

from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from deploy.demo import Story

PIPELINE = ("wait", "fetch", "decode", "orient", "variants", "fingerprint", "exif", "store")


def show(story: Story, console: Console) -> None:
    """Print the whole story."""
    media = story.media
    colour = "green" if media["status"] == "ready" else "red"
    facts = pairs(
        {
            "status": f"[{colour}]{media['status']}[/] (the upload was answered {story.upload_status})",
            "id": f"{media['id']}  {media['public_id']}  number {media['number']}",
            "file": f"{media['filename']}  {media['mime_type']}  {size(media['size'])}  {sides(media)}",
            "sha256": media["sha256"],
            "perceptual hash": f"{media.get('phash') or '-'}  (dHash {media.get('dhash') or '-'})",
            "taken": media.get("taken_at") or "-",
            "url": media["url"],
        }
    )
    console.print(Panel(facts, title="Media", title_align="left", border_style=colour), highlight=False)
    if media.get("exif"):
        console.print(Panel(pairs(flat(media["exif"])), title="EXIF", title_align="left"), highlight=False)
    console.print(Group(times(story), variants(media)), highlight=False)
    if story.similar is not None:
        distance, label = story.similar["distance"], str(story.similar["label"]).replace("_", " ")
        copied = story.copy or {}
        console.print(
            f"[bold]Near-duplicate[/] a copy of {sides(copied)} was found: distance {distance}, [green]{label}[/]",
            highlight=False,
        )
    fault = story.fault
    console.print(f"[bold red]{fault}[/]" if fault else "[bold green]all is well[/]", highlight=False)


def times(story: Story) -> Table:
    """When each milestone was seen from here, and how long each stage of the processor took."""
    table = Table(title="Time", title_justify="left", show_edge=False)
    table.add_column("seen from here")
    table.add_column("ms", justify="right")
    table.add_column("stage of the processor")
    table.add_column("ms", justify="right")
    seen = list(story.milestones.items())
    stages = sorted((story.media.get("timings") or {}).items(), key=lambda stage: turn(stage[0]))
    for row in range(max(len(seen), len(stages))):
        left = (seen[row][0], f"{seen[row][1]:.0f}") if row < len(seen) else ("", "")
        right = (stages[row][0], f"{stages[row][1]:.1f}") if row < len(stages) else ("", "")
        table.add_row(*left, *right)
    return table


def turn(stage: str) -> int:
    """Where a stage stands in the pipeline; one that is new here comes last."""
    return PIPELINE.index(stage) if stage in PIPELINE else len(PIPELINE)


def variants(media: dict[str, Any]) -> Table:
    table = Table(title="Variants", title_justify="left", show_edge=False)
    for column in ("name", "type", "pixels", "size"):
        table.add_column(column, justify="right" if column in {"pixels", "size"} else "left")
    for variant in media.get("variants") or ():
        table.add_row(variant["name"], variant["mime_type"], sides(variant), size(variant["size"]))
    return table


def pairs(facts: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, str(value))
    return table


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def sides(thing: dict[str, Any]) -> str:
    return f"{thing['width']} x {thing['height']}" if thing.get("width") else ""


def size(count: int) -> str:
    """Bytes as people say them."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.2f} MiB"
