"""A fake shop at Shopify."""

from __future__ import annotations

from typing import Any

import graphql
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stepwell.testing.vendors.fake import body_of
from stepwell.testing.vendors.shopify.oauth import Tokens
from stepwell.testing.vendors.shopify.records import Json
from stepwell.testing.vendors.shopify.schema import cost, faults, root_fields, run
from stepwell.testing.vendors.shopify.shop import MAX_QUERY

ACTUAL_SHARE = 0.2  # of what a query is asked for it mostly costs: lists are rarely full


class FakeShopify(Tokens):
    """A shop in memory that answers `/admin/api/{version}/graphql.json`; a connection's `base_url` is the served URL.

    Every operation is checked against Shopify's own schema (2026-10), and run by graphql-core: `pip install
    'stepwell[fakes]'`. What people do there are its methods, such as `create_order`; subscriptions then send what
    Shopify sends, signed with `client_secret`.
    """

    def routes(self) -> list[BaseRoute]:
        """Every address that it answers."""
        return [
            Route("/admin/api/{version}/graphql.json", self._graphql, methods=["POST"]),
            Route("/admin/oauth/access_token", self._token, methods=["POST"]),
            Route("/files/{number}.jsonl", self._download),
        ]

    async def _graphql(self, request: Request) -> Response:
        self.url = self.url or str(request.base_url).rstrip("/")
        asked = await body_of(request)
        if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
            return JSONResponse({"errors": "Bad Request"}, 400)
        document, variables = asked["query"], asked.get("variables") or {}
        if found := faults(document):
            return JSONResponse({"errors": [{"message": told, "extensions": {"code": "invalid"}} for told in found]})
        wanted = cost(document, variables)
        if wanted > MAX_QUERY:
            told = f"Query cost is {wanted:.0f}, which exceeds the single query max cost limit ({MAX_QUERY:.0f})."
            return JSONResponse({"errors": [{"message": told, "extensions": {"code": "MAX_COST_EXCEEDED"}}]})
        if wanted > self.points():
            return self.throttled(wanted)
        return JSONResponse(self._answered(document, variables, wanted))

    def _answered(self, document: str, variables: Json, wanted: float) -> Json:
        actual = max(1.0, round(wanted * ACTUAL_SHARE))
        self.take_points(actual)
        root: Json = {**self.queries(), **self._keyed(document, variables)}
        unknown = [name for name, _ in root_fields(document, variables) if name not in root]
        if unknown:
            told = f"the fake shop does not do {unknown[0]}; it does {', '.join(sorted(root))}"
            return {"errors": [{"message": told, "extensions": {"code": "NOT_FAKED"}}]}
        result = run(document, variables, root)
        answer: Json = {"data": result.data, "extensions": {"cost": self.cost_told(wanted, actual)}}
        if result.errors:
            answer["errors"] = [_told(error) for error in result.errors]
        return answer

    def _keyed(self, document: str, variables: Json) -> Json:
        """The mutations, those that are called with their keys."""
        keys = dict(root_fields(document, variables))

        def resolver(name: str, do: Any) -> Any:
            return lambda info, **arguments: self.once(name, keys.get(name), arguments, lambda: do(info, **arguments))

        return {name: resolver(name, do) for name, do in self.mutations().items()}


def _told(error: graphql.GraphQLError) -> Json:
    extensions = error.extensions or {"code": "INTERNAL_SERVER_ERROR"}
    return {"message": error.message, "path": error.path, "extensions": extensions}
