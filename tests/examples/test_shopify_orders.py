"""The demo of Shopify's orders, on fewer of them: real processes, a real database, real kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.demos import run_demo

PATIENCE_SECONDS = 150

pytestmark = pytest.mark.timeout(2 * PATIENCE_SECONDS)


def test_warehouse_is_what_the_shop_is_although_webhooks_got_lost_and_processes_were_killed(tmp_path: Path) -> None:
    """F102, F103: also a webhook that was sent while the server was dead."""
    ended = run_demo("examples.shopify_orders.demo", "--orders", "24", folder=tmp_path, within=PATIENCE_SECONDS)

    assert "The warehouse is what the shop is." in ended.stdout, ended.stdout + ended.stderr
    assert "lost events were found" in ended.stdout
    assert ended.returncode == 0
