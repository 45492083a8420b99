"""What a vendor's answer means. Most vendors signal some trouble with a 2xx, so each connector judges for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from stepwell.codec import codec_for
from stepwell.errors import InvalidValue

MAX_DELAY = timedelta(hours=24)  # a vendor that says more is asked again then
MAX_TOLD = 300  # characters of a vendor's own words in an error


@dataclass(frozen=True, slots=True)
class Answer:
    """A vendor's answer: `headers` by their names in lower case, `body` as bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's JSON, integers of any size exact; None when there is no body. Raises InvalidValue."""
        return codec_for(Any).decode_text(self.body) if self.body.strip() else None

    def said(self) -> Mapping[str, Any]:
        """The body's JSON object; empty where it is none, such as the page of a proxy on the way."""
        try:
            found = self.json()
        except InvalidValue:
            found = None
        return found if isinstance(found, dict) else {}

    def told(self) -> str:
        """The beginning of what the vendor says, for an error."""
        return self.body[: MAX_TOLD * 4].decode(errors="replace").replace("\0", "")[:MAX_TOLD]


@dataclass(frozen=True, slots=True)
class Done:
    """It worked. `left`: so much of the budget the vendor says is left; `pause`: it asks for no request meanwhile."""

    left: float | None = None
    pause: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Limited:
    """The vendor did nothing because of a limit. The whole connection waits."""

    delay: timedelta
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Expired:
    """The credentials are refused."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The vendor's fault: another attempt may work, after `delay` if it says one."""

    reason: str
    delay: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Our request's fault: another attempt would be rejected as well. `code` is the vendor's own, if there is one."""

    reason: str
    code: str | None = None


Outcome = Done | Limited | Expired | Failed | Rejected

DEFAULT_PAUSE = timedelta(seconds=30)  # after a 429 that does not say how long


def standard_outcome(answer: Answer, *, now: datetime) -> Outcome:
    """What the status says by RFC 9110 and RFC 6585; connectors begin with what their vendor does differently."""
    delay = retry_after(answer.headers, now=now)
    match answer.status:
        case status if 200 <= status < 300:
            return Done(pause=delay)
        case 429:
            return Limited(delay or DEFAULT_PAUSE)
        case 401:
            return Expired(answer.told())
        case 408 | 425:
            return Failed(f"answered {answer.status}", delay)
        case status if status >= 500:
            return Failed(f"answered {answer.status}: {answer.told()}", delay)
        case status if 300 <= status < 400:
            return Rejected(f"answered {status} and points elsewhere; redirects are not followed")
        case status:
            return Rejected(f"answered {status}: {answer.told()}")


def retry_after(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """The delay of a `Retry-After` header: seconds, also as "2.0", or an HTTP date (RFC 9110, section 10.2.3).

    None when there is none, or none that can be read. Never negative, at most a day.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        delay: timedelta | None = timedelta(seconds=float(text))
    except OverflowError:
        return MAX_DELAY
    except ValueError:
        at = http_date(text)
        delay = None if at is None else at - now
    return None if delay is None else min(max(delay, timedelta(0)), MAX_DELAY)


def http_date(text: str) -> datetime | None:
    """The time of an HTTP date (RFC 9110, section 5.6.7); None for what is none."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
