"""Effects on other systems that must not happen twice: what is intended is stored first, and looked for after a crash.

Each time before the effect is tried, an intent is stored (`charge/#intent1`); when the try has raised, that as well
(`charge/#failed1`). An intent with neither that nor an outcome belongs to a try whose outcome is unknown.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

from stepwell.core.model import Kind, NewCheckpoint
from stepwell.core.replay import failed_key, intent_key, verify_key
from stepwell.errors import Diverged, NotYet, StepTimeout
from stepwell.failpoints import failpoint
from stepwell.running import current_step
from stepwell.runtime import attempts
from stepwell.runtime.attempts import Call
from stepwell.runtime.calls import durable
from stepwell.runtime.functions import Shape, is_async_function
from stepwell.runtime.passes import Pass, Wait


class Repeat(enum.Enum):
    """The type of REPEAT, for annotations."""

    REPEAT = "repeat"


REPEAT: Final = Repeat.REPEAT  # what `verify` returns when the effect has not happened

NOTHING_SAID, PUT_OFF = b"null", b'"not yet"'  # how an attempt has ended

Verify = Callable[[str], Any]


class _Unknown(BaseException):
    """The attempt was cut, and nobody can say whether the effect happened. Not an error: it counts as no attempt."""


@durable
async def run(pass_: Pass, call: Call, verify: Verify | None) -> Any:
    """What the effect made: as it is stored, as `verify` finds it, or by having it done."""
    effect = _Effect(pass_, call, verify)
    try:
        effect.check_arguments()
        if effect.is_to_be_resolved:
            raise _Unknown
        return await attempts.run(pass_, call, effect.body)
    except _Unknown:
        await pass_.block(Wait(None, f"outcome of effect '{call.key}' is unknown: resolve it", is_outside=True))


class _Effect:
    """One effect of a pass: how many intents are stored, and whether the last one's outcome is unknown."""

    def __init__(self, pass_: Pass, call: Call, verify: Verify | None) -> None:
        self._pass, self._call, self._verify = pass_, call, verify
        history = pass_.replay.checkpoints
        self._tries = 0
        while intent_key(call.key, self._tries + 1) in history:
            self._tries += 1
        last = history.get(failed_key(call.key, self._tries))
        is_known = call.key in history or last is not None
        self._was_put_off = last is not None and last.value == PUT_OFF
        self._is_open = self._tries > 0 and not is_known

    @property
    def is_to_be_resolved(self) -> bool:
        """Only an operator can say what became of it."""
        return self._is_open and self._verify is None

    def check_arguments(self) -> None:
        """Raises Diverged when what was begun is not what is called now."""
        begun = self._pass.replay.checkpoints.get(intent_key(self._call.key, self._tries))
        if self._is_open and begun is not None and begun.digest != self._call.digest:
            raise Diverged(step=self._call.key, expected="an effect begun with other arguments", met="one with these")

    async def body(self, pass_: Pass, call: Call) -> Any:
        """One attempt: look whether an earlier one has done it; else store the intent and do it."""
        if self._tries and self._verify is not None and not self._was_put_off:
            found = await _verified(pass_, call, self._verify)
            if found is not REPEAT:
                return await attempts.keep(pass_, call, found)
        if not self._is_open:
            await self._intend()
        try:
            value = await attempts.invoke(pass_, call, call.args)
        except StepTimeout:
            if self._verify is None:
                raise _Unknown from None
            raise
        except Exception as error:
            await self._has_failed(was_put_off=isinstance(error, NotYet))
            raise
        failpoint("after_step_body")
        return await attempts.keep(pass_, call, value)

    async def _intend(self) -> None:
        self._tries += 1
        await self._mark(intent_key(self._call.key, self._tries), NOTHING_SAID)
        self._is_open = True

    async def _has_failed(self, *, was_put_off: bool) -> None:
        """It has raised: without `verify` that counts as not done. What could not run yet has surely done nothing."""
        await self._mark(failed_key(self._call.key, self._tries), PUT_OFF if was_put_off else NOTHING_SAID)
        self._is_open, self._was_put_off = False, was_put_off

    async def _mark(self, key: str, value: bytes) -> None:
        await self._pass.store(NewCheckpoint(self._pass.id, key, Kind.INTENT, self._call.digest, value))


async def _verified(pass_: Pass, call: Call, verify: Verify) -> Any:
    if pass_.around.replaced is not None:
        verify = pass_.around.replaced(verify_key(call.key), verify)
    shape = Shape(is_async_function(verify), call.shape.codec)
    asked = call._replace(function=verify, shape=shape, kwargs={})
    return await attempts.invoke(pass_, asked, (current_step().idempotency_key,))
