"""Bulk operations: queries over a whole shop that Shopify runs by itself, and whose answer is a file of lines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from stepwell.codec import codec_for
from stepwell.connectors.base import action, may_be_a_repeat, not_before
from stepwell.connectors.errors import VendorRejected
from stepwell.connectors.shopify import documents
from stepwell.connectors.shopify.protocol import ShopifyProtocol
from stepwell.connectors.shopify.types import BulkOperation, BulkPage, bulk_operation
from stepwell.core.duration import DurationLike, parse_duration
from stepwell.errors import InvalidOption, NotYet

AT_WORK = {"CREATED", "RUNNING", "CANCELING"}
PAGE_BYTES = 512 * 1024  # of lines in one page, so that a step may return it
LARGEST_LINE = 16 * 1024 * 1024
_ANY_ROW = codec_for(dict[str, Any])


class BulkActions(ShopifyProtocol):
    """Source: shopify.dev/docs/api/usage/bulk-operations/queries."""

    @action(repeat="verify")
    async def run_bulk_query(self, query: str) -> BulkOperation:
        """Let Shopify run this query over the whole shop (`bulkOperationRunQuery`).

        It must hold a connection, and needs no `first` or cursors. A repeat looks for an operation of the same query
        that is no older than the execution. `finished_bulk_query` tells its end, `on_bulk_query_finished` too.
        """
        if may_be_a_repeat() and (found := await self._earlier_bulk_query(query)) is not None:
            return found
        payload = await self.payload(documents.BULK_RUN, {"query": query}, operation="run a bulk query")
        return bulk_operation(payload["bulkOperation"])

    async def _earlier_bulk_query(self, query: str) -> BulkOperation | None:
        since = not_before()
        condition = f"created_at:>='{since.isoformat()}'" if since else None
        found = await self.data(documents.BULK_OPERATIONS, {"query": condition}, operation="look for the bulk query")
        for raw in found["bulkOperations"]["nodes"]:
            if raw["query"].split() == query.split():
                return bulk_operation(raw)
        return None

    @action(repeat="safe")
    async def get_bulk_query(self, id: str) -> BulkOperation:
        """The bulk operation with that gid, as it is now."""
        operation = f"get bulk operation {id}"
        found = (await self.data(documents.BULK_OPERATION, {"id": id}, operation=operation))["bulkOperation"]
        if found is None:
            raise self.not_there(operation)
        return bulk_operation(found)

    @action(repeat="safe")
    async def finished_bulk_query(self, id: str, *, look_every: DurationLike = "30s") -> BulkOperation:
        """The bulk operation when it has ended well: until then the step is put off, and looks so often.

        That holds no thread and uses up no attempt. Raises VendorRejected when it has failed, was cancelled or expired.
        """
        found = await self.get_bulk_query(id)
        if found.status in AT_WORK:
            delay: timedelta = parse_duration(look_every)
            raise NotYet(delay, f"bulk operation {id} is {found.status}, {found.objects:,} objects so far")
        if found.status != "COMPLETED":
            raise VendorRejected(
                connector=self.name,
                connection=self.connection_name(),
                operation=f"run bulk operation {id}",
                reason=f"it ended as {found.status}, {found.error or 'with no reason given'}",
                code=found.error,
            )
        return found

    @action(repeat="safe")
    async def read_bulk_rows(self, url: str, *, start_byte: int = 0, bytes: int = PAGE_BYTES) -> BulkPage:
        """The rows of a bulk operation from there on, about `bytes` of them; the `url` is that of the operation.

        Each page can be a step of its own, so a crash reads one page again, not the whole file. The file is not at the
        shop: the app's token is not sent there, and a workflow with `egress` must allow its host.
        """
        if not url.startswith(("https://", "http://")):
            raise InvalidOption("read_bulk_rows: give the url of a bulk operation that has ended")
        while True:
            answer = await self.request(
                "GET",
                url,
                operation="read the rows of a bulk query",
                headers={"Range": f"bytes={start_byte}-{start_byte + bytes - 1}", "Accept-Encoding": "identity"},
                cost=0.0,
                accept={200, 206, 416},
                is_authorised=False,
            )
            piece = b"" if answer.status == 416 else answer.body[start_byte if answer.status == 200 else 0 :]
            is_last = len(piece) < bytes or answer.status == 200
            whole = piece if is_last else piece[: piece.rfind(b"\n") + 1]
            if whole or is_last:
                rows = [_ANY_ROW.decode_text(line) for line in whole.split(b"\n") if line.strip()]
                return BulkPage(rows, None if is_last else start_byte + len(whole))
            if bytes >= LARGEST_LINE:
                raise InvalidOption(f"read_bulk_rows: a row is larger than {LARGEST_LINE:,} bytes")
            bytes *= 2  # a row that is longer than the page
