"""Shopify's Admin API (GraphQL): orders, products, customers, stock, fulfilments, bulk operations, webhooks."""

from __future__ import annotations

from typing import TypeAlias

from stepwell.connectors.base import Setting
from stepwell.connectors.shopify import documents, triggers, types
from stepwell.connectors.shopify.actions import ShopifyActions
from stepwell.connectors.shopify.triggers import ShopifyTriggers


class Shopify(ShopifyActions, ShopifyTriggers):
    """One shop, through the stored connection of that name.

    `Shopify("acme")`; give its methods to `step.run`, and its triggers to `@app.workflow`.
    """

    name = "shopify"
    title = "Shopify"
    base_url = "https://{shop}.myshopify.com"
    settings = (
        Setting("shop", "the shop's name, as in https://{shop}.myshopify.com"),
        Setting("token", "the app's access token for the shop", is_secret=True),
        Setting("version", "the version of the API, such as 2026-10, the default", is_required=False),
        Setting("points_per_second", "what the shop's plan restores; 100 without it", is_required=False),
        Setting("base_url", "another address than that of the shop", is_required=False),
    )

    Money: TypeAlias = types.Money
    Order: TypeAlias = types.Order
    OrderPage: TypeAlias = types.OrderPage
    Product: TypeAlias = types.Product
    ProductPage: TypeAlias = types.ProductPage
    Customer: TypeAlias = types.Customer
    CustomerPage: TypeAlias = types.CustomerPage
    InventoryAdjustment: TypeAlias = types.InventoryAdjustment
    Fulfillment: TypeAlias = types.Fulfillment
    Metafield: TypeAlias = types.Metafield
    BulkOperation: TypeAlias = types.BulkOperation
    BulkPage: TypeAlias = types.BulkPage
    Webhook: TypeAlias = types.Webhook

    OrderEvent: TypeAlias = triggers.OrderEvent
    ProductEvent: TypeAlias = triggers.ProductEvent
    CustomerEvent: TypeAlias = triggers.CustomerEvent
    InventoryLevelEvent: TypeAlias = triggers.InventoryLevelEvent
    InventoryItemEvent: TypeAlias = triggers.InventoryItemEvent
    BulkQueryFinished: TypeAlias = triggers.BulkQueryFinished
    ShopifyEvent: TypeAlias = triggers.ShopifyEvent

    async def check(self) -> str:
        """Which shop the connection's token is for. Raises what any action does when it is refused."""
        shop = (await self.data(documents.SHOP, {}, operation="say which shop this is", points=1.0))["shop"]
        return f"{shop['name']} ({shop['myshopifyDomain']})"
