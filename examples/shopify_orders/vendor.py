"""A busy shop, as a process of its own: people order and change orders; of its webhooks some come twice, or never.

    python -m examples.shopify_orders.vendor --port PORT --token TOKEN --secret SECRET

A line of input says where webhooks go and how many orders there are: {"hook": URL, "orders": 60}. When everything was
sent it prints what the shop has, as JSON; it answers until its input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time

import uvicorn

from stepwell.testing.vendors import FakeShopify
from stepwell.testing.vendors.sender import Deliveries

GOODS = (("Tea", "4.50"), ("Teapot", "39.00"), ("Cup", "12.00"), ("Sugar", "2.20"))
PAUSE_SECONDS = 0.05
TOPICS = ("orders/create", "orders/updated")


async def serve(*, token: str, secret: str, port: int) -> None:
    """Answer, sell, tell of it."""
    shop = FakeShopify(tokens=[token], client_secret=secret, first_id=time.time_ns(), restore_rate=1_000.0)
    server = uvicorn.Server(uvicorn.Config(shop, port=port, log_level="warning"))
    async with Deliveries(shop.outgoing) as deliveries:
        serving = asyncio.create_task(server.serve(), name="shop")
        if line := await asyncio.to_thread(sys.stdin.readline):
            await sell(shop, deliveries, **json.loads(line))
            truth = {one["id"]: [one["updatedAt"], total_of(one)] for one in shop.orders.values()}
            print(json.dumps(truth), flush=True)
            await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving


async def sell(shop: FakeShopify, deliveries: Deliveries, *, hook: str, orders: int) -> None:
    """So many orders, of which every third is changed; a tenth of the webhooks comes twice, a tenth is lost."""
    for topic in TOPICS:
        shop.subscribe(topic, hook)
    chance = random.Random(7)
    for number in range(orders):
        if number % 10 == 3:
            deliveries.duplicate()
        if number % 10 == 7:
            deliveries.lose()
        made = shop.create_order(*basket(chance), email=f"customer-{number}@example.com")
        await asyncio.sleep(PAUSE_SECONDS)
        if number % 3 == 0:
            shop.update_order(made["id"], displayFinancialStatus="REFUNDED")
    await deliveries.settled()


def basket(chance: random.Random) -> list[tuple[str, int, str]]:
    """What somebody buys."""
    return [(title, chance.randint(1, 3), price) for title, price in chance.sample(GOODS, chance.randint(1, 3))]


def total_of(order: dict[str, object]) -> str:
    """Its total, as decimal text."""
    money = order["totalPriceSet"]
    assert isinstance(money, dict)
    return str(money["shopMoney"]["amount"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--secret", required=True)
    given = parser.parse_args()
    asyncio.run(serve(token=given.token, secret=given.secret, port=given.port))


if __name__ == "__main__":
    main()
