"""The fake's bulk operations: a query over everything, looked at until it has ended, with its rows in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stepwell.testing.vendors.shopify.records import BULK, Json
from stepwell.testing.vendors.shopify.schema import faults, run
from stepwell.testing.vendors.shopify.writing import Writing


class Bulk(Writing):
    """Bulk operations. `bulk_looks` is how often one is looked at before it has ended, `url` where the shop is served.

    With `bulk_fails` the next one ends as FAILED.
    """

    url = ""
    bulk_looks = 1
    bulk_fails = False

    def run_bulk(self, _info: Any, *, query: str, **_: Any) -> Json:
        if found := faults(query):
            told = {"message": f"Invalid bulk query: {found[0]}", "field": ["query"], "code": "INVALID"}
            return {"bulkOperation": None, "userErrors": [told]}
        made: Json = {
            "__typename": "BulkOperation",
            "id": self.next_id("BulkOperation"),
            "status": "CREATED",
            "errorCode": None,
            "createdAt": self.time(),
            "completedAt": None,
            "objectCount": "0",
            "fileSize": None,
            "url": None,
            "partialDataUrl": None,
            "query": query,
            "_looks": 0,
        }
        self.bulk[made["id"]] = made
        self.ledger.record("bulk operation created", made["id"])
        return {"bulkOperation": made, "userErrors": []}

    def looked_at_bulk(self, id: str) -> Json | None:
        operation = self.bulk.get(id)
        if operation is None or operation["status"] in ("COMPLETED", "FAILED"):
            return operation
        operation["_looks"] += 1
        operation["status"] = "RUNNING"
        if operation["_looks"] > self.bulk_looks:
            self._end(operation)
        return operation

    def _end(self, operation: Json) -> None:
        if self.bulk_fails:
            operation.update(status="FAILED", errorCode="INTERNAL_SERVER_ERROR", completedAt=self.time())
        else:
            rows = list(_rows(run(operation["query"], {}, self.queries(), BULK).data or {}))
            file = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()
            number = operation["id"].rpartition("/")[2]
            operation.update(
                status="COMPLETED",
                completedAt=self.time(),
                objectCount=str(len(rows)),
                fileSize=str(len(file)),
                url=f"{self.url}/files/{number}.jsonl" if rows else None,
                _file=file,
            )
        body = {
            "admin_graphql_api_id": operation["id"],
            "status": operation["status"].lower(),
            "type": "query",
            "error_code": (operation["errorCode"] or "").lower() or None,
            "created_at": operation["createdAt"],
            "completed_at": operation["completedAt"],
        }
        self.happened("bulk_operations/finish", body)

    async def _download(self, request: Request) -> Response:
        operation = self.bulk.get(f"gid://shopify/BulkOperation/{request.path_params['number']}", {})
        file: bytes = operation.get("_file", b"")
        if "x-shopify-access-token" in request.headers:
            return Response("the app's token was sent to where files are stored", 400)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
        if wanted is None:
            return Response(file, media_type="application/jsonl")
        start, end = int(wanted[1]), int(wanted[2])
        if start >= len(file):
            return Response(status_code=416, headers={"Content-Range": f"bytes */{len(file)}"})
        piece = file[start : end + 1]
        told = {"Content-Range": f"bytes {start}-{start + len(piece) - 1}/{len(file)}"}
        return Response(piece, 206, told, media_type="application/jsonl")


def _rows(data: Json, parent: str | None = None) -> Iterator[Json]:
    """Objects of connections as lines, each after the one that it belongs to."""
    for value in data.values():
        if isinstance(value, dict) and ("edges" in value or "nodes" in value):
            for node in value.get("nodes") or [edge["node"] for edge in value["edges"]]:
                own = {name: inner for name, inner in node.items() if not _is_connection(inner)}
                yield own if parent is None else {**own, "__parentId": parent}
                yield from _rows(node, node.get("id"))


def _is_connection(value: Any) -> bool:
    return isinstance(value, dict) and ("edges" in value or "nodes" in value)
