"""Orders of a Shopify shop, in tables of a warehouse: each row says which delivery and which execution wrote it.

    stepwell worker flows.py        runs it, and asks the shop once a night for what its webhooks did not bring
    stepwell serve flows.py         takes the webhooks

`python -m examples.shopify_orders.demo` does both, with a shop whose webhooks come twice, late, or not at all.
"""

from __future__ import annotations

from typing import Any

import psycopg

from stepwell import App, Step
from stepwell.connectors import Shopify

app = App()
shop = Shopify("acme-shop")

STORE = """
insert into warehouse.customer_order
    (id, name, total, currency, financial_status, created_at, updated_at, delivery_id, execution_id)
values
    (%(id)s, %(name)s, %(total)s, %(currency)s, %(status)s, %(created_at)s, %(updated_at)s, %(delivery)s, %(execution)s)
on conflict (id) do update
set name = excluded.name, total = excluded.total, currency = excluded.currency,
    financial_status = excluded.financial_status, updated_at = excluded.updated_at,
    delivery_id = excluded.delivery_id, execution_id = excluded.execution_id
where customer_order.updated_at < excluded.updated_at
"""
CLEAR_LINES = "delete from warehouse.order_line where order_id = %s"
STORE_LINE = """
insert into warehouse.order_line (order_id, title, quantity, price, delivery_id, execution_id)
values (%s, %s, %s, %s, %s, %s)
"""


@app.workflow(
    trigger=[
        shop.on_order_created(reconcile="1d"),
        shop.on_order_updated(id="order-updates", reconcile="1d"),
    ]
)
async def store_order(event: Shopify.OrderEvent, step: Step) -> bool:
    """Store the order as it is now; whether it was newer than what the warehouse had."""
    order = await step.run("get-order", shop.get_order, event.payload.gid)
    return await step.transaction("store", store, order, str(event.delivery), str(step.execution_id))


async def store(connection: psycopg.AsyncConnection[Any], order: Shopify.Order, delivery: str, execution: str) -> bool:
    """The rows commit together with the step. Webhooks overtake each other: what is older changes nothing."""
    stored = await connection.execute(
        STORE,
        {
            "id": order.id,
            "name": order.name,
            "total": order.total.amount if order.total else None,
            "currency": order.total.currency if order.total else None,
            "status": order.financial_status,
            "created_at": order.created_at,
            "updated_at": order.updated_at,
            "delivery": delivery,
            "execution": execution,
        },
    )
    if stored.rowcount == 0:
        return False
    await connection.execute(CLEAR_LINES, [order.id])
    for line in order.line_items:
        price = line.unit_price.amount if line.unit_price else None
        await connection.execute(STORE_LINE, [order.id, line.title, line.quantity, price, delivery, execution])
    return True
