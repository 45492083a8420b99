"""Orders, products and customers: read one, read pages."""

from __future__ import annotations

from typing import Any

from stepwell.connectors.base import action
from stepwell.connectors.shopify import documents
from stepwell.connectors.shopify.protocol import ShopifyProtocol
from stepwell.connectors.shopify.types import (
    Customer,
    CustomerPage,
    Order,
    OrderPage,
    Product,
    ProductPage,
    customer,
    gid,
    order,
    product,
)
from stepwell.errors import InvalidOption

PAGE = 10  # orders or products with what they hold: more could cost more points than one query may
CUSTOMERS = 50
MAX_PAGE = 250  # the vendor's limit


class ResourceActions(ShopifyProtocol):
    """Source: shopify.dev/docs/api/admin-graphql. `query` is the vendor's search syntax: `updated_at:>'2026-01-01'`."""

    @action(repeat="safe")
    async def get_order(self, id: int | str) -> Order:
        """The order with that id, a number or a gid. Raises VendorRejected (404) if the shop has none."""
        return order(await self._one(documents.ORDER, "order", gid("Order", id)))

    @action(repeat="safe")
    async def get_product(self, id: int | str) -> Product:
        """The product with that id, a number or a gid. Raises VendorRejected (404) if the shop has none."""
        return product(await self._one(documents.PRODUCT, "product", gid("Product", id)))

    @action(repeat="safe")
    async def get_customer(self, id: int | str) -> Customer:
        """The customer with that id, a number or a gid. Raises VendorRejected (404) if the shop has none."""
        return customer(await self._one(documents.CUSTOMER, "customer", gid("Customer", id)))

    @action(repeat="safe")
    async def list_orders(
        self,
        *,
        query: str | None = None,
        cursor: str | None = None,
        first: int = PAGE,
        sort: str = "UPDATED_AT",
        reverse: bool = False,
    ) -> OrderPage:
        """A page of orders; give its `cursor` to get the next. Shops let an app see 60 days unless it may see all."""
        nodes, after = await self._page(documents.ORDERS, "orders", query, cursor, first, sort, reverse)
        return OrderPage([order(raw) for raw in nodes], after)

    @action(repeat="safe")
    async def list_products(
        self,
        *,
        query: str | None = None,
        cursor: str | None = None,
        first: int = PAGE,
        sort: str = "UPDATED_AT",
        reverse: bool = False,
    ) -> ProductPage:
        """A page of products; give its `cursor` to get the next."""
        nodes, after = await self._page(documents.PRODUCTS, "products", query, cursor, first, sort, reverse)
        return ProductPage([product(raw) for raw in nodes], after)

    @action(repeat="safe")
    async def list_customers(
        self,
        *,
        query: str | None = None,
        cursor: str | None = None,
        first: int = CUSTOMERS,
        sort: str = "UPDATED_AT",
        reverse: bool = False,
    ) -> CustomerPage:
        """A page of customers; give its `cursor` to get the next."""
        nodes, after = await self._page(documents.CUSTOMERS, "customers", query, cursor, first, sort, reverse)
        return CustomerPage([customer(raw) for raw in nodes], after)

    async def _one(self, document: str, field: str, id: str) -> dict[str, Any]:
        operation = f"get {field} {id}"
        found: dict[str, Any] | None = (await self.data(document, {"id": id}, operation=operation))[field]
        if found is None:
            raise self.not_there(operation)
        return found

    async def _page(
        self, document: str, field: str, query: str | None, cursor: str | None, first: int, sort: str, reverse: bool
    ) -> tuple[list[dict[str, Any]], str | None]:
        if not 1 <= first <= MAX_PAGE:
            raise InvalidOption(f"list_{field}: first is {first}, ask for 1 to {MAX_PAGE} in a page")
        variables = {"first": first, "after": cursor, "query": query, "sort": sort, "reverse": reverse}
        found = (await self.data(document, variables, operation=f"list {field}", points=first * POINTS_EACH))[field]
        info = found["pageInfo"]
        return found["nodes"], info["endCursor"] if info["hasNextPage"] else None


POINTS_EACH = 4.0  # of an object with its lines, as a guess
