"""Values to stored bytes and back: JSON text, by the annotation of the function that made or takes the value.

What a step returns, and what its workflow is given, is what the stored bytes decode to, on the first pass as on every
replay. A value that would come back different is refused, with its place inside the value and what to do.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from types import UnionType
from typing import Any, Generic, Never, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

import msgspec
import msgspec.inspect

from stepwell.core.connections import Secret
from stepwell.core.payload import MAX_DEPTH, pack, refuse_deep, unpack
from stepwell.core.roundtrip import is_plain, locate, parts_of, refuse_difference
from stepwell.errors import InvalidOption, InvalidValue

T = TypeVar("T")

MAX_CODECS = 4096  # annotations remembered; a program writes down fewer, one that makes them up must not grow

_PLAIN_WAY_OUT = "annotate the function, or use plain JSON values (dict by str, list, str, int, float, bool, None)"
_TYPED_WAY_OUT = "make the value what its annotation says"
_PLAIN_ANNOTATIONS = (Any, dict, list, str, int, bool, None, type(None))
_NO_ANNOTATION = (Any, object, inspect.Parameter.empty, Never, NoReturn)


class Codec(Generic[T]):
    """Encodes and decodes values of one annotated type. Any number of threads may share it."""

    __slots__ = ("_keeps_plain_values", "_read", "_way_out", "annotation")

    def __init__(self, annotation: Any) -> None:
        is_plain = annotation in _NO_ANNOTATION or isinstance(annotation, TypeVar)
        self.annotation: Any = Any if is_plain else annotation
        self._keeps_plain_values = _keeps_plain_values(self.annotation)
        self._way_out = _PLAIN_WAY_OUT if is_plain else _TYPED_WAY_OUT
        try:
            self._read = msgspec.json.Decoder(self.annotation, dec_hook=_model_from_json).decode
        except (TypeError, NameError, AttributeError, RecursionError) as error:
            raise InvalidOption(f"values annotated {annotation!r} cannot be stored: {error}") from error

    def encode(self, value: object) -> tuple[bytes, T]:
        """The bytes to store, and the value they decode to: what the caller must be given in place of `value`.

        Raises InvalidValue when that value is not the same, PayloadTooLarge when the bytes are too many.
        """
        text = _to_text(value)
        data = pack(text)
        decoded = self._decode(text)
        if not (self._keeps_plain_values and is_plain(value)):
            refuse_difference(value, decoded, way_out=self._way_out)
        return data, decoded

    def decode(self, data: bytes) -> T:
        """The value of stored bytes, a fresh one each time. InvalidValue when they do not fit the annotation."""
        return self._decode(unpack(data))

    def decode_text(self, text: bytes) -> T:
        """The value of a JSON text from outside, such as the body of a request, whatever it may hold."""
        refuse_deep(text)
        return self._decode(text)

    def adapt(self, value: object) -> T:
        """What the annotation makes of a value, conversions included: a tuple becomes the list it is annotated as."""
        return self._decode(_to_text(value))

    def _decode(self, text: bytes) -> T:
        try:
            value: T = self._read(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _unreadable(error) from error
        return value


@lru_cache(maxsize=MAX_CODECS)
def _remembered_codec(annotation: Any) -> Codec[Any]:
    return Codec(annotation)


def codec_for(annotation: Any) -> Codec[Any]:
    """The codec of an annotation. `Any`, and no annotation (`inspect.Parameter.empty`), mean plain JSON values."""
    try:
        return _remembered_codec(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return Codec(annotation)


def codec_of(value: object) -> Codec[Any]:
    """The codec of a value's own type, so that a dataclass needs no annotation."""
    return codec_for(Any if is_plain(value) else type(value))


def _keeps_plain_values(annotation: Any) -> bool:
    """Whether plain JSON values that fit an annotation come back by it as they were."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return arguments[:1] == (str,) and _keeps_plain_values(arguments[1])
    if origin in (list, Union, UnionType):
        return all(map(_keeps_plain_values, arguments))
    return annotation in _PLAIN_ANNOTATIONS


def result_codec(function: Callable[..., Any]) -> Codec[Any]:
    """The codec of what a function returns (an async one: gives when awaited), by its return annotation."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, type):
        return codec_for(function)
    if not hasattr(function, "__annotations__"):
        function = type(function).__call__
    annotation = getattr(function, "__annotations__", {}).get("return", Any)
    if annotation is None or isinstance(annotation, type):
        return codec_for(annotation)
    return _resolved_result_codec(getattr(function, "__func__", function), annotation)


def unstorable_type(annotation: Any) -> str | None:
    """The first type within an annotation whose values have no JSON form, as a sentence; None if there is none."""
    for kind in _custom_types(msgspec.inspect.type_info(annotation), set()):
        if kind is not object and not _is_model(kind):
            return _no_json_form(kind)
    return None


def _custom_types(node: Any, seen: set[int]) -> Iterator[type]:
    """The classes in msgspec's picture of a type that it knows nothing of."""
    if isinstance(node, msgspec.inspect.CustomType):
        yield node.cls
    elif isinstance(node, tuple):
        for part in node:
            yield from _custom_types(part, seen)
    elif isinstance(node, msgspec.inspect.Type | msgspec.inspect.Field) and id(node) not in seen:
        seen.add(id(node))
        for name in node.__struct_fields__:
            yield from _custom_types(getattr(node, name), seen)


def _no_json_form(kind: Any) -> str:
    return f"{getattr(kind, '__qualname__', kind)} has no JSON form; use a dataclass, a Struct or a model"


_resolved_results: WeakKeyDictionary[Callable[..., Any], Codec[Any]] = WeakKeyDictionary()


def _resolved_result_codec(function: Callable[..., Any], annotation: Any) -> Codec[Any]:
    codec = _resolved_results.get(function)
    if codec is None:
        codec = _resolved_results[function] = codec_for(resolve_annotation(function, "return", annotation))
    return codec


def resolve_annotation(function: Callable[..., Any], name: str, annotation: Any) -> Any:
    """What an annotation written as text means where `function` was defined. InvalidOption when it means nothing.

    One annotation at a time, so that a name which only a type checker can see harms nobody but its user.
    """

    def only() -> None: ...

    only.__annotations__ = {name: annotation}
    try:
        hints = get_type_hints(only, getattr(inspect.unwrap(function), "__globals__", {}), include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise InvalidOption(
            f"{function.__module__}.{function.__qualname__}: its annotation {annotation!r} ({name}) means nothing at"
            f" run time: {error}. Import or define the type at the top of the module, outside `if TYPE_CHECKING`"
        ) from error
    return hints[name]


def digest(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """32 bits, signed, that tell whether a step is called with the same arguments as before. Never raises.

    The same in every process and Python version. The order of keyword arguments, dict keys and sets does not count. An
    argument without an encoding (a client, a connection, a lambda) counts by the name of its type only.
    """
    try:
        text = _encode_ordered((args, kwargs))
    except Exception:  # noqa: BLE001 (code of the user's types runs in there, and a digest is never worth a failure)
        named = {ascii(name): _digestible(value) for name, value in kwargs.items()}
        text = _encode_ordered(([_digestible(value) for value in args], named))
    checksum = zlib.crc32(text)
    return checksum - 2**32 if checksum >= 2**31 else checksum


def _digestible(value: object) -> object:
    try:
        return msgspec.Raw(_encode_ordered(value))
    except Exception:  # noqa: BLE001 (as in `digest`)
        return type(value).__qualname__


def _fields_or_type_name(value: object) -> object:
    return dict(parts_of(value)) or type(value).__qualname__


_encode_ordered = msgspec.json.Encoder(order="deterministic", enc_hook=_fields_or_type_name).encode


def _to_text(value: object) -> bytes:
    try:
        return _encode_text(value)
    except RecursionError as error:
        raise _too_deep() from error
    except Exception as error:  # serializers of the user's models run in there
        path, culprit = locate(value, _is_unencodable)
        raise InvalidValue(path=path, reason=_why_unencodable(culprit, error)) from error


def _is_unencodable(value: object) -> bool:
    try:
        _encode_text(value)
    except Exception:  # noqa: BLE001 (as in `_to_text`)
        return True
    return False


def _why_unencodable(culprit: object, error: Exception) -> str:
    match culprit:
        case str():
            return "is text with a lone surrogate, which UTF-8 cannot carry; replace it"
        case int():
            return "is an integer of more than 64 bits; use a str"
        case Secret():
            return "is a Secret, which is never stored; return what it was used for"
        case dict():
            return "has a key that JSON cannot carry; use str keys"
    kind = type(culprit)
    if _is_model(kind):
        return f"is a {kind.__qualname__} that does not serialize: {error}"
    return f"is of type {kind.__qualname__}, which has no JSON form; use a dataclass, a Struct, a model or plain values"


def _unreadable(error: Exception) -> InvalidValue:
    """What msgspec says of a text that does not decode, as our error that names the place."""
    if isinstance(error, RecursionError):
        return _too_deep()
    message, _, place = str(error).partition(" - at `")
    is_misfit = isinstance(error, msgspec.ValidationError)
    reason = f"does not fit its annotation: {message}" if is_misfit else f"is not JSON: {message}"
    return InvalidValue(path=place.rstrip("`") or "$", reason=reason)


def _too_deep() -> InvalidValue:
    return InvalidValue(path="$", reason=f"contains itself, or is nested deeper than {MAX_DEPTH} levels; flatten it")


def _is_model(kind: type) -> bool:
    """Whether a class is a Pydantic model, known by its two JSON methods so that Pydantic is never imported."""
    return hasattr(kind, "model_dump_json") and hasattr(kind, "model_validate_json")


def _model_to_json(value: Any) -> msgspec.Raw:
    if not _is_model(type(value)):
        raise NotImplementedError
    text: str = value.model_dump_json(by_alias=False, round_trip=True, warnings=False)
    return msgspec.Raw(text.encode())


_encode_text = msgspec.json.Encoder(enc_hook=_model_to_json).encode


def _model_from_json(kind: Any, value: Any) -> Any:
    if kind is object:
        return value
    if not _is_model(kind):
        raise TypeError(_no_json_form(kind))
    try:
        return kind.model_validate_json(msgspec.json.encode(value), by_alias=True, by_name=True)
    except ValueError as error:
        raise ValueError(_model_faults(error)) from error


def _model_faults(error: Any) -> str:
    """One line for all faults of a Pydantic `ValidationError`, without the values, which may be secret."""
    if not hasattr(error, "errors"):
        return str(error)
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
