"""The times at which a schedule ticks: intervals, and cron expressions in a time zone with its summer time.

Every process computes the same ticks, whenever it asks: nothing depends on when a worker was started.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from stepwell.errors import InvalidOption

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MIN_INTERVAL = timedelta(seconds=1)  # a worker looks about as often
LONGEST_FOLD = timedelta(hours=4)  # clocks have been set back by three hours at most since 1970
MINUTE = timedelta(minutes=1)

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Every:
    """Ticks at the multiples of an interval since 1970 (UTC): `1h` ticks on the hour, `24h` at midnight."""

    interval: timedelta

    def __post_init__(self) -> None:
        if self.interval < MIN_INTERVAL:
            raise InvalidOption(f"every({self.interval}) is too often, use at least 1 second")

    def __str__(self) -> str:
        return f"every {_length(self.interval)}"

    def next(self, after: datetime) -> datetime:
        """The first tick after that time, in UTC."""
        return EPOCH + ((after - EPOCH) // self.interval + 1) * self.interval

    def latest(self, *, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The latest `limit` ticks after the one time and not after the other, in their order."""
        last = (until - EPOCH) // self.interval
        first = max((after - EPOCH) // self.interval + 1, last - limit + 1)
        return [EPOCH + number * self.interval for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Cron:
    """Ticks at the wall-clock times of a cron expression (minute, hour, day, month, weekday) in an IANA time zone.

    Where the hour is `*`, ticks go by elapsed time: what is hourly ticks each hour, also in the one that comes twice.
    Else each wall-clock time comes once a day: in the hour that comes twice at its first passing, and what falls into
    the hour that is left out comes, once, when that would have ended.
    """

    expression: str
    zone: str = "UTC"

    def __str__(self) -> str:
        return f"cron {self.expression} {self.zone}"

    def check(self) -> None:
        """Raises InvalidOption for what is no expression or no time zone, here and now."""
        if not isinstance(self.expression, str) or len(self._fields.split()) != 5:
            raise InvalidOption(
                f"cron({self.expression!r}): write five fields (minute, hour, day, month, weekday), such as"
                " '0 6 * * 1-5', or @hourly, @daily, @weekly, @monthly, @yearly; for seconds use every('10s')"
            )
        self.next(EPOCH)

    @property
    def _fields(self) -> str:
        return _ALIASES.get(self.expression.strip().lower(), self.expression)

    def next(self, after: datetime) -> datetime:
        """The first tick after that time, in UTC."""
        for tick in self._instants(after):
            if tick > after:
                return tick
        raise InvalidOption(f"cron({self.expression!r}): there is no such day")

    def latest(self, *, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The latest `limit` ticks after the one time and not after the other, in their order."""
        backwards = self._instants(until + LONGEST_FOLD, is_reverse=True)
        found: dict[datetime, None] = {}  # several that are left out come at the same instant
        for tick in backwards:
            if tick <= after or len(found) == limit:
                break
            if tick <= until:
                found[tick] = None
        return [*reversed(found)]

    def _instants(self, start: datetime, *, is_reverse: bool = False) -> Iterator[datetime]:
        """The ticks from about that time on, forwards or backwards; some may come twice."""
        zone = self._zone()
        local = start.astimezone(zone)
        try:
            if self._fields.split()[1] == "*":
                yield from (tick.astimezone(UTC) for tick in CronSim(self._fields, local, is_reverse))
            else:
                wall_clock = local.replace(tzinfo=None)
                yield from (_instant(tick, zone) for tick in CronSim(self._fields, wall_clock, is_reverse))
        except CronSimError as error:
            raise InvalidOption(f"cron({self.expression!r}): {str(error).lower()}") from None

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise InvalidOption(f"tz {self.zone!r} is no time zone; use a name such as 'Europe/Brussels'") from None


Timing = Every | Cron


def _instant(wall_clock: datetime, zone: ZoneInfo) -> datetime:
    """When the clocks first show that time; when they skip it, when they go on."""
    while _is_skipped(wall_clock, zone):
        wall_clock += MINUTE
    return wall_clock.replace(tzinfo=zone).astimezone(UTC)


def _is_skipped(wall_clock: datetime, zone: ZoneInfo) -> bool:
    there_and_back = wall_clock.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return there_and_back.replace(tzinfo=None) != wall_clock


def _length(interval: timedelta) -> str:
    """A duration as people write it: 1h30m, 7d."""
    seconds, rest = divmod(interval, timedelta(seconds=1))
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        number, seconds = divmod(seconds, size)
        parts += [f"{number}{unit}"] if number else []
    parts += [f"{rest.microseconds / 1000:g}ms"] if rest else []
    return "".join(parts)
