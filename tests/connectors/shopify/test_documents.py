"""Every operation that the connector sends is one that Shopify's own schema takes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import graphql
import pytest

from stepwell.connectors.shopify import documents
from stepwell.connectors.shopify.protocol import MAX_POINTS, NEED_A_KEY
from stepwell.connectors.shopify.resources import CUSTOMERS, PAGE
from stepwell.connectors.shopify.types import enum_of, topic_of
from stepwell.testing.vendors.shopify.schema import cost, faults, shopify_schema

PACKAGE = os.environ.get("STEPWELL_SHOPIFY_SCHEMAS", "")
needs_package = pytest.mark.skipif(
    not PACKAGE, reason="STEPWELL_SHOPIFY_SCHEMAS names no unpacked @shopify/dev-mcp (package/dist/data)"
)


@pytest.mark.parametrize("name", sorted(documents.ALL))
def test_document_is_valid_by_shopifys_schema(name: str) -> None:
    assert faults(documents.ALL[name]) == []


def test_check_finds_a_mistyped_field_a_wrong_type_and_what_is_no_graphql() -> None:
    assert faults("query { shop { nam } }") == ["Cannot query field 'nam' on type 'Shop'. Did you mean 'name'?"]
    assert "expecting type 'ID!'" in faults("query Q($id: String!) { order(id: $id) { id } }")[0]
    assert "Syntax Error" in faults("query {")[0]


@pytest.mark.parametrize("name", sorted(documents.ALL))
def test_no_document_costs_more_points_than_one_query_may(name: str) -> None:
    first = CUSTOMERS if name == "CUSTOMERS" else PAGE

    assert cost(documents.ALL[name], {"first": first}) <= MAX_POINTS


def test_mutations_that_need_a_key_exist_and_ours_among_them_send_it() -> None:
    mutations = shopify_schema().mutation_type
    assert mutations is not None
    assert set(mutations.fields) >= NEED_A_KEY
    for document in documents.ALL.values():
        if any(f"{name}(" in document for name in NEED_A_KEY):
            assert "@idempotent(key: $key)" in document


@pytest.mark.parametrize(
    "topic",
    [
        "orders/create",
        "orders/partially_fulfilled",
        "inventory_levels/update",
        "bulk_operations/finish",
        "app/uninstalled",
        "fulfillment_orders/moved",
        "customers/update",
        "products/delete",
        "order_transactions/create",
    ],
)
def test_topic_has_an_enum_value_and_back(topic: str) -> None:
    known = shopify_schema().type_map["WebhookSubscriptionTopic"]
    assert isinstance(known, graphql.GraphQLEnumType)

    assert enum_of(topic) in known.values
    assert topic_of(enum_of(topic)) == topic


def introspections() -> list[Path]:
    return sorted(Path(PACKAGE).glob("admin_20*.json.gz")) if PACKAGE else []


def whole(path: Path) -> Any:
    with gzip.open(path) as file:
        content = json.load(file)
    return content.get("data", content)


@needs_package
def test_schema_in_the_repository_is_the_one_that_shopify_publishes() -> None:
    tool = Path(__file__).parents[3] / "tools/shopify_schema.py"
    source = Path(PACKAGE) / "admin_2026-10.json.gz"

    done = subprocess.run([sys.executable, tool, source, "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_package
def test_mutations_that_need_a_key_are_those_whose_description_says_so() -> None:
    schema = graphql.build_client_schema(whole(Path(PACKAGE) / "admin_2026-10.json.gz"), assume_valid=True)
    assert schema.mutation_type is not None
    said = {name for name, field in schema.mutation_type.fields.items() if "@idempotent" in (field.description or "")}

    assert said | {"orderCreateMandatePayment"} == NEED_A_KEY  # which has an argument for it


@needs_package
@pytest.mark.parametrize("path", introspections(), ids=lambda path: path.name)
def test_document_is_valid_by_each_published_version_since_2026_04(path: Path) -> None:
    if path.name < "admin_2026-04":
        pytest.skip("inventory is set in another way before 2026-04; README says so")
    schema = graphql.build_client_schema(whole(path), assume_valid=True)

    for name, document in documents.ALL.items():
        assert graphql.validate(schema, graphql.parse(document)) == [], f"{name} in {path.name}"
