"""Everything that Shopify does for workflows."""

from __future__ import annotations

from stepwell.connectors.shopify.bulk import BulkActions
from stepwell.connectors.shopify.changes import ChangeActions
from stepwell.connectors.shopify.hooks import HookActions
from stepwell.connectors.shopify.resources import ResourceActions


class ShopifyActions(ResourceActions, ChangeActions, BulkActions, HookActions):
    """Orders, products, customers, stock, fulfilments, tags, metafields, bulk operations, webhooks, any document."""
