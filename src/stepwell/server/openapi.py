"""The OpenAPI 3.1 document of the API, made of the table of routes and the types they name."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Sequence
from importlib.metadata import version
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from stepwell.server import sse
from stepwell.server.problems import CONTENT_TYPE, KINDS, TITLES, Problem
from stepwell.server.queries import is_list
from stepwell.server.routes import Header, Route

Document = dict[str, Any]

ALWAYS = (401, 403, 422, 500, 503)
WITH_BODY = (408, 413, 415)
_WORDS = {
    200: "Done.",
    201: "Made.",
    202: "It has not ended.",
    204: "It has ended, and that was told.",
    401: TITLES["unauthorized"],
    403: TITLES["forbidden"],
    404: "What is named is not there",
    408: TITLES["timeout"],
    409: "Its status does not allow it",
    413: TITLES["too-large"],
    415: TITLES["unsupported-media-type"],
    422: "Something given does not fit",
    500: "Something went wrong here",
    503: "Not at the moment; `Retry-After` says when to ask again",
}
_REQUEST_ID = {"X-Request-Id": {"description": "The request in the log.", "schema": {"type": "string"}}}


class _Schemas:
    """Places in the document for the schemas of types; all are made at once, so that each is described once."""

    def __init__(self) -> None:
        self._places: list[tuple[Any, Document]] = []

    def of(self, annotation: Any) -> Document:
        place: Document = {}
        self._places.append((annotation, place))
        return place

    def fill(self) -> Document:
        """Put the schemas in their places; the answer is what they refer to."""
        types = [annotation for annotation, _ in self._places]
        schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
        for (_, place), schema in zip(self._places, schemas, strict=True):
            place.update(schema)
        return components


def document(table: Sequence[Route], *, prefix: str) -> Document:
    """The document. `prefix` is where the routes are below the server's address."""
    schemas = _Schemas()
    paths: Document = {}
    for route in table:
        paths.setdefault(prefix + route.path, {})[route.method.lower()] = _operation(route, schemas)
    whole: Document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Stepwell",
            "version": version("stepwell"),
            "description": "Start executions, and see what becomes of them.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Not needed while there are none."}
            },
            "responses": {str(status): _problem(status, schemas) for status in _refusals(table)},
        },
        "security": [{}, {"token": []}],
    }
    whole["components"]["schemas"] = schemas.fill()
    return whole


def _refusals(table: Sequence[Route]) -> list[int]:
    return sorted({status for route in table for status in _refused(route)})


def _refused(route: Route) -> set[int]:
    return {*ALWAYS, *(WITH_BODY if route.body is not None else ()), *map(_status_of, route.errors)}


def _problem(status: int, schemas: _Schemas) -> Document:
    content = {CONTENT_TYPE: {"schema": schemas.of(Problem)}}
    return {"description": _WORDS[status], "headers": _REQUEST_ID, "content": content}


def _operation(route: Route, schemas: _Schemas) -> Document:
    summary, _, description = (inspect.getdoc(route.function) or "").partition("\n")
    operation: Document = {
        "operationId": route.name,
        "summary": summary,
        "description": f"{description.strip()} Needs the scope `{route.scope}`.".strip(),
        "x-stepwell-scope": str(route.scope),
        "parameters": _parameters(route, schemas),
        "responses": _responses(route, schemas),
    }
    if route.body is not None:
        content = {"application/json": {"schema": schemas.of(route.body)}}
        operation["requestBody"] = {"required": route.needs_body, "content": content}
    return operation


def _parameters(route: Route, schemas: _Schemas) -> list[Document]:
    parts = [
        {"name": name, "in": "path", "required": True, "schema": schemas.of(kind)} for name, kind in route.parts.items()
    ]
    fields = msgspec.structs.fields(route.query) if route.query is not None else ()
    queries = [_query_parameter(field, schemas) for field in fields]
    headers = [
        {
            "name": one.name,
            "in": "header",
            "description": one.description,
            "schema": {"type": "string", "minLength": one.min_length},
        }
        for one in route.headers
    ]
    return [*parts, *queries, *headers]


def _query_parameter(field: msgspec.structs.FieldInfo, schemas: _Schemas) -> Document:
    parameter: Document = {"name": field.encode_name, "in": "query", "required": field.required}
    if is_list(field.type):
        parameter |= {"style": "form", "explode": True}
    return parameter | {"schema": schemas.of(without_unset(field.type))}


def without_unset(annotation: Any) -> Any:
    """The type of a field when it is given."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return functools.reduce(operator.or_, (one for one in get_args(annotation) if one is not msgspec.UnsetType))


def _responses(route: Route, schemas: _Schemas) -> Document:
    refused = {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(_refused(route))}
    return {str(status): _success(route, status, schemas) for status in route.statuses} | refused


def _status_of(error: type[Exception]) -> int:
    return next(kind.status for one, kind in KINDS.items() if issubclass(error, one))


def _success(route: Route, status: int, schemas: _Schemas) -> Document:
    headers = _REQUEST_ID | {one.name: _header(one) for one in route.answer_headers}
    response: Document = {"description": _WORDS[status], "headers": headers}
    if status == 204:
        return response
    is_stream = route.media_type == sse.MEDIA_TYPE
    schema = schemas.of(sse.Described if is_stream else route.gives)
    return response | {"content": {route.media_type: {"schema": schema}}}


def _header(one: Header) -> Document:
    return {"description": one.description, "schema": {"type": "string"}}
