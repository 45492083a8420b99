"""The GraphQL documents that are sent. Each is checked against Shopify's own schema by a test.

A query may cost 1,000 points: an object costs one, a connection two and each of the objects that it may have. So
what is nested is asked for in full of one object, and in part of the objects of a page.
"""

from __future__ import annotations

LINE_ITEMS, VARIANTS = 100, 250  # of one order or product
LISTED_LINE_ITEMS = LISTED_VARIANTS = 20  # of each in a page


def _order(lines: int) -> str:
    return f"""
fragment OrderFields on Order {{
  id name createdAt updatedAt processedAt cancelledAt email tags test
  displayFinancialStatus displayFulfillmentStatus currencyCode
  totalPriceSet {{ shopMoney {{ amount currencyCode }} }}
  customer {{ id }}
  lineItems(first: {lines}) {{
    nodes {{
      id title sku quantity variant {{ id }} originalUnitPriceSet {{ shopMoney {{ amount currencyCode }} }}
    }}
  }}
}}
"""


def _product(variants: int) -> str:
    return f"""
fragment ProductFields on Product {{
  id handle title status vendor productType createdAt updatedAt tags
  variants(first: {variants}) {{ nodes {{ id title sku price inventoryQuantity inventoryItem {{ id }} }} }}
}}
"""


_CUSTOMER = """
fragment CustomerFields on Customer {
  id displayName firstName lastName state createdAt updatedAt tags
  defaultEmailAddress { emailAddress }
  defaultPhoneNumber { phoneNumber }
}
"""

_ADJUSTMENT = """
inventoryAdjustmentGroup {
  id createdAt reason referenceDocumentUri
  changes { name delta quantityAfterChange item { id } location { id } }
}
"""

_FULFILLMENT = """
fragment FulfillmentFields on Fulfillment {
  id status createdAt updatedAt totalQuantity trackingInfo { company number url }
}
"""

_BULK = """
fragment BulkFields on BulkOperation {
  id status errorCode createdAt completedAt objectCount fileSize url partialDataUrl query
}
"""

_WEBHOOK = """
fragment WebhookFields on WebhookSubscription { id topic uri format filter name createdAt }
"""

SHOP = "query Shop { shop { id name myshopifyDomain } }"

ORDER = "query Order($id: ID!) { order(id: $id) { ...OrderFields } }" + _order(LINE_ITEMS)
PRODUCT = "query Product($id: ID!) { product(id: $id) { ...ProductFields } }" + _product(VARIANTS)
CUSTOMER = "query Customer($id: ID!) { customer(id: $id) { ...CustomerFields } }" + _CUSTOMER


def _listing(name: str, field: str, sort_keys: str, fields: str, fragment: str) -> str:
    variables = f"$first: Int!, $after: String, $query: String, $sort: {sort_keys}!, $reverse: Boolean!"
    return f"""query {name}({variables}) {{
  {field}(first: $first, after: $after, query: $query, sortKey: $sort, reverse: $reverse) {{
    nodes {{ ...{fields} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}{fragment}"""


ORDERS = _listing("Orders", "orders", "OrderSortKeys", "OrderFields", _order(LISTED_LINE_ITEMS))
PRODUCTS = _listing("Products", "products", "ProductSortKeys", "ProductFields", _product(LISTED_VARIANTS))
CUSTOMERS = _listing("Customers", "customers", "CustomerSortKeys", "CustomerFields", _CUSTOMER)

PRODUCT_SET = f"""mutation ProductSet($identifier: ProductSetIdentifiers!, $input: ProductSetInput!) {{
  productSet(identifier: $identifier, input: $input, synchronous: true) {{
    product {{ ...ProductFields }}
    userErrors {{ field message code }}
  }}
}}{_product(VARIANTS)}"""

SET_QUANTITIES = f"""mutation SetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {{
  inventorySetQuantities(input: $input) @idempotent(key: $key) {{
    {_ADJUSTMENT}
    userErrors {{ field message code }}
  }}
}}"""

ADJUST_QUANTITIES = f"""mutation AdjustQuantities($input: InventoryAdjustQuantitiesInput!, $key: String!) {{
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) {{
    {_ADJUSTMENT}
    userErrors {{ field message code }}
  }}
}}"""

FULFILL = f"""mutation Fulfill($fulfillment: FulfillmentInput!, $message: String) {{
  fulfillmentCreate(fulfillment: $fulfillment, message: $message) {{
    fulfillment {{ ...FulfillmentFields }}
    userErrors {{ field message }}
  }}
}}{_FULFILLMENT}"""

FULFILLMENT_ORDERS = """query FulfillmentOrders($id: ID!) {
  order(id: $id) {
    fulfillmentOrders(first: 20) {
      nodes { id status lineItems(first: 20) { nodes { id remainingQuantity totalQuantity } } }
    }
  }
}"""

FULFILLMENTS = f"""query Fulfillments($id: ID!) {{
  fulfillmentOrder(id: $id) {{ id status fulfillments(first: 50) {{ nodes {{ ...FulfillmentFields }} }} }}
}}{_FULFILLMENT}"""

TAGS_ADD = """mutation TagsAdd($id: ID!, $tags: [String!]!) {
  tagsAdd(id: $id, tags: $tags) { node { id } userErrors { field message } }
}"""

TAGS_REMOVE = """mutation TagsRemove($id: ID!, $tags: [String!]!) {
  tagsRemove(id: $id, tags: $tags) { node { id } userErrors { field message } }
}"""

METAFIELDS_SET = """mutation MetafieldsSet($metafields: [MetafieldsSetInput!]!) {
  metafieldsSet(metafields: $metafields) {
    metafields { id namespace key type value }
    userErrors { field message code }
  }
}"""

BULK_RUN = f"""mutation BulkRun($query: String!) {{
  bulkOperationRunQuery(query: $query, groupObjects: false) {{
    bulkOperation {{ ...BulkFields }}
    userErrors {{ field message code }}
  }}
}}{_BULK}"""

BULK_OPERATION = "query BulkOperation($id: ID!) { bulkOperation(id: $id) { ...BulkFields } }" + _BULK

BULK_OPERATIONS = (
    """query BulkOperations($query: String) {
  bulkOperations(first: 25, query: $query, sortKey: CREATED_AT, reverse: true) { nodes { ...BulkFields } }
}"""
    + _BULK
)

WEBHOOKS = (
    """query Webhooks($after: String, $uri: String, $topics: [WebhookSubscriptionTopic!]) {
  webhookSubscriptions(first: 100, after: $after, uri: $uri, topics: $topics) {
    nodes { ...WebhookFields }
    pageInfo { hasNextPage endCursor }
  }
}"""
    + _WEBHOOK
)

WEBHOOK_CREATE = (
    """mutation WebhookCreate($topic: WebhookSubscriptionTopic!, $webhook: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $webhook) {
    webhookSubscription { ...WebhookFields }
    userErrors { field message }
  }
}"""
    + _WEBHOOK
)

WEBHOOK_DELETE = """mutation WebhookDelete($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}"""

ALL = {
    name: text
    for name, text in list(globals().items())
    if name.isupper() and not name.startswith("_") and isinstance(text, str)
}
"""Every document, by name."""
