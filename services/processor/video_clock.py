"""Times that go on where a recording was cut or its clock was set: no film may last for days because of one number."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet

_BACK = 0.5  # seconds; decoding times never go back by themselves
_AHEAD = 10.0  # in containers that are cut and joined byte by byte
_FAR_AHEAD = 3600.0  # in others: what is told so may be a camera that takes a picture now and then
JOINED = frozenset({"mpegts", "mpeg", "mpegvideo"})


class Clock:
    """Of one track."""

    def __init__(self, container: str, *, most: float = _FAR_AHEAD) -> None:
        self._ahead = _AHEAD if container in JOINED else most
        self._shift = 0.0
        self._last: float | None = None

    def mend(self, packet: "Packet[Any]") -> bool:
        """Move the packet's times to where they belong; whether they jumped here."""
        if packet.dts is None or not packet.time_base:
            return False
        unit = float(packet.time_base)
        moment, jumped = packet.dts * unit + self._shift, False
        if self._last is not None and not -_BACK <= moment - self._last <= self._ahead:
            step = (packet.duration or 0) * unit
            self._shift += self._last + step - moment
            moment, jumped = self._last + step, True
        self._last = moment
        ticks = round(self._shift / unit)
        if ticks:
            packet.dts += ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks
        return jumped
