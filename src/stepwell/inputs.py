"""A workflow's input: checked against its function's annotations when an execution is started, stored once.

The stored form is a JSON object of all parameters, defaults filled in, so that a default which changes with the code
does not change an execution that has begun.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, TypedDict

import msgspec

from stepwell.codec import Codec, codec_for, resolve_annotation
from stepwell.core.payload import pack, unpack
from stepwell.core.roundtrip import path_of
from stepwell.errors import InvalidInput, InvalidOption, InvalidValue, PayloadTooLarge

Fault = tuple[str, str]

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class InputCodec:
    """Encodes and decodes the input of one workflow function: all its parameters but the one for `Step`."""

    def __init__(self, function: Callable[..., Any], *, workflow: str, step_parameter: str | None = "step") -> None:
        self.workflow = workflow
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name != step_parameter]
        annotations = {p.name: _annotation(function, p) for p in parameters}
        self._codecs = {name: codec_for(annotation) for name, annotation in annotations.items()}
        self._defaults = {p.name: self._default(p) for p in parameters if p.default is not p.empty}
        self._required = tuple(name for name in self._codecs if name not in self._defaults)
        self._positional = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        self._whole = self._codec_of_all(annotations)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._codecs)

    @property
    def required(self) -> tuple[str, ...]:
        """The parameters without a default."""
        return self._required

    @property
    def annotations(self) -> dict[str, Any]:
        """What each parameter is annotated as."""
        return {name: codec.annotation for name, codec in self._codecs.items()}

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The bytes to store for a call. Whether a value is passed by position or by name makes no difference to them.

        Raises InvalidInput with every fault there is, or PayloadTooLarge.
        """
        given, faults = self._matched(args, kwargs)
        faults += self._misnamed(given)
        if faults:
            raise InvalidInput(self.workflow, faults + self._value_faults(given))
        values = {name: given[name] if name in given else self._defaults[name] for name in self._codecs}
        try:
            return self._whole.encode(values)[0]
        except PayloadTooLarge as error:
            raise error.at(self._where) from error
        except InvalidValue as error:
            raise InvalidInput(self.workflow, self._value_faults(values) or [(error.path, error.reason)]) from error

    def bind_json(self, data: object) -> bytes:
        """The bytes to store for JSON, as text (bytes) or parsed (anything else): an object of parameters.

        A workflow with exactly one parameter also takes that parameter's value itself; an object whose only key is the
        parameter's name is taken as the object of parameters. Values that JSON has no type for come as text.
        """
        texts, is_value = self._parameter_texts(data)
        values: dict[str, Any] = {}
        faults: list[Fault] = []
        for name, text in texts.items():
            try:
                values[name] = self._codecs[name].decode_text(text) if name in self._codecs else None
            except InvalidValue as error:
                faults.append(_fault(name, error))
                if is_value and "got `object`" in error.reason:  # it takes none, so parameters were meant
                    faults += self._misnamed(_object_texts(text) or {})
        if faults:
            raise InvalidInput(self.workflow, faults + self._misnamed(texts) + self._value_faults(values))
        return self.bind((), values)

    def keep(self, text: bytes, extra: Mapping[str, bytes] | None = None) -> bytes:
        """The bytes to store for JSON that has been accepted elsewhere, whether it fits or not.

        It is the value of the one parameter, or an object of several; `extra` has the JSON of further parameters. What
        does not fit parks its execution with every fault, and is kept. Raises PayloadTooLarge.
        """
        members = self._members(text, extra or {})
        whole = b"{%s}" % b",".join(msgspec.json.encode(name) + b":" + value for name, value in members.items())
        try:
            return self.bind_json(whole)
        except InvalidInput:
            return pack(whole)

    def _members(self, text: bytes, extra: Mapping[str, bytes]) -> dict[str, bytes]:
        names = tuple(name for name in self._codecs if name not in extra)
        texts = _object_texts(text)
        if not names:
            texts = {}
        elif texts is None or (len(names) == 1 and tuple(texts) != names):
            texts = {names[0] if len(names) == 1 else "payload": text}
        return texts | dict(extra)

    def unbind(self, data: bytes) -> dict[str, Any]:
        """The keyword arguments of stored bytes, fresh ones each time. InvalidValue when the code now takes others."""
        try:
            return self._whole.decode(data)
        except InvalidValue as error:
            raise error.at(self._where) from error

    @property
    def _where(self) -> str:
        return f"input of workflow '{self.workflow}'"

    def _default(self, parameter: inspect.Parameter) -> Any:
        codec = self._codecs[parameter.name]
        try:
            return codec.encode(codec.adapt(parameter.default))[1]
        except InvalidValue as error:
            raise InvalidOption(
                f"workflow '{self.workflow}': the default of parameter '{parameter.name}' {error.reason}"
            ) from error

    def _codec_of_all(self, annotations: dict[str, Any]) -> Codec[dict[str, Any]]:
        """Parameters with a default are optional on reading: the code may have gained them since it was stored."""
        fields = {name: NotRequired[kind] if name in self._defaults else kind for name, kind in annotations.items()}
        return Codec(TypedDict(self.workflow, fields))  # type: ignore[operator]  # its fields are known at run time only

    def _matched(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
        faults: list[Fault] = []
        if len(args) > len(self._positional):
            faults.append(("$", f"has {len(args)} positional values, the workflow takes {len(self._positional)}"))
        given = dict(zip(self._positional, args, strict=False))
        faults += [(path_of([name]), "is given twice") for name in given if name in kwargs]
        return given | dict(kwargs), faults

    def _misnamed(self, given: Mapping[str, Any]) -> list[Fault]:
        unknown = [name for name in given if name not in self._codecs]
        missing = [name for name in self._required if name not in given]
        if not unknown and not missing:
            return []
        not_taken = f"is not a parameter; the workflow takes: {', '.join(self._codecs) or 'nothing'}"
        return [(path_of([name]), "is missing") for name in missing] + [
            (path_of([name]), not_taken) for name in unknown
        ]

    def _value_faults(self, values: Mapping[str, Any]) -> list[Fault]:
        faults: list[Fault] = []
        for name, value in values.items():
            try:
                if name in self._codecs:
                    self._codecs[name].encode(value)
            except InvalidValue as error:
                faults.append(_fault(name, error))
        return faults

    def _parameter_texts(self, data: object) -> tuple[dict[str, bytes], bool]:
        """The text of each parameter, and whether the whole was taken for the value of the only one."""
        try:
            text = data if isinstance(data, bytes) else unpack(codec_for(Any).encode(data)[0])
            texts = _object_texts(text)
        except PayloadTooLarge as error:
            raise error.at(self._where) from error
        except InvalidValue as error:
            raise InvalidInput(self.workflow, [(error.path, error.reason)]) from error
        if len(self.names) == 1 and (texts is None or tuple(texts) != self.names):
            return {self.names[0]: text}, True
        if texts is None:
            takes = ", ".join(self.names) or "nothing"
            raise InvalidInput(self.workflow, [("$", f"is not an object of parameters; the workflow takes: {takes}")])
        return texts, False


def _object_texts(text: bytes) -> dict[str, bytes] | None:
    """The text of each member, untouched: a decimal's digits must not pass through a float. None for no object."""
    if not text.lstrip().startswith(b"{"):
        return None
    members = codec_for(dict[str, msgspec.Raw]).decode_text(text)
    return {name: bytes(member) for name, member in members.items()}


def _annotation(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    if parameter.kind not in _NAMED:
        raise InvalidOption(
            f"{function.__qualname__}: parameter '{parameter.name}' cannot be passed by its name, as stored input is;"
            " a workflow takes no *args, **kwargs or positional-only parameters"
        )
    if parameter.annotation is parameter.empty:
        return Any
    return resolve_annotation(function, parameter.name, parameter.annotation)


def _fault(name: str, error: InvalidValue) -> Fault:
    return path_of([name]) + error.path.removeprefix("$"), error.reason


def unchecked_input(workflow: str, value: Any) -> bytes:
    """The input of a workflow that this process does not know: an object of its parameters, as plain JSON."""
    given = {} if value is NOTHING else value
    if not isinstance(given, Mapping):
        raise InvalidInput(
            workflow, [("$", "this process does not know the workflow: give a mapping of its parameters")]
        )
    try:
        return codec_for(Any).encode(dict(given))[0]
    except InvalidValue as error:
        raise InvalidInput(workflow, [(error.path, error.reason)]) from error


class _Nothing:
    """No input was given; None is a value."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Any = _Nothing()
