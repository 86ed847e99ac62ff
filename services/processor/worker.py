"""The consumers of the processor: one per lane, so that images never queue behind transcodes."""

from functools import partial

from prometheus_client import CollectorRegistry

from services.processor import cancelling, fingerprints, handlers, render
from services.processor.handlers import Deps
from shared.events.consumer import ConsumerMetrics, consume
from shared.events.topology import LANES, MEDIA_TYPES, SLOW, Topology
from shared.runtime import Background

_ERASERS = 8
_OTHERS = 4
# As many as may be pending: who is no flood has at most 60 fresh ones a minute (services/ingest/lanes.py), and what
# others bring meanwhile is to be seen behind them. Most of these wait, with nothing fetched.
_FRESH_PICTURES = 64


def start(
    background: Background,
    deps: Deps,
    registry: CollectorRegistry,
    *,
    topology: Topology,
    jobs: int,
    films: int,
    sounds: int,
    grace: float,
) -> None:
    """Start consuming. More jobs than children are in hand, so that none waits for the store."""
    metrics = ConsumerMetrics(registry)
    names = {f"processor-{media_type}-{lane}": media_type for media_type in MEDIA_TYPES for lane in LANES}
    places = {name: jobs + 2 if media_type == "image" else _OTHERS for name, media_type in names.items()}
    places["processor-image-fresh"] = _FRESH_PICTURES
    places |= {f"processor-image-{SLOW}": 1, "processor-reprocess": jobs + 2}
    # What waits here no other worker can take, and a video keeps its place for long.
    of_videos = [f"processor-video-{lane}" for lane in LANES]
    places |= dict.fromkeys((*of_videos, "processor-reprocess-video"), films)
    of_sounds = [f"processor-audio-{lane}" for lane in LANES]
    places |= dict.fromkeys((*of_sounds, "processor-reprocess-audio"), sounds)
    for name, concurrency in places.items():
        background.start(
            name,
            consume(
                deps.bus,
                topology.durable(name),
                partial(handlers.process, deps=deps),
                stop=background.stop,
                on_exhausted=partial(handlers.give_up, deps=deps),
                concurrency=concurrency,
                metrics=metrics,
                grace=grace,
            ),
        )
    rendering = render.keep_rendering(deps, background.stop, at_once=max(1, jobs // 2))
    background.start("processor-renderer", rendering)
    looking = fingerprints.keep_fingerprinting(deps, background.stop, at_once=max(1, jobs // 2))
    background.start("processor-fingerprints", looking)
    background.start(
        "processor-canceller", cancelling.keep_listening(deps.bus, deps.running, background.stop)
    )
    background.start("processor-janitor", handlers.keep_tidy(deps, background.stop))
    background.start(
        "processor-eraser",
        consume(
            deps.bus,
            topology.durable("processor-eraser"),
            partial(handlers.erase, deps=deps),
            stop=background.stop,
            concurrency=_ERASERS,
            metrics=metrics,
            grace=grace,
        ),
    )
