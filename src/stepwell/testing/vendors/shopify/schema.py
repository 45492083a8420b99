"""Shopify's own schema, without its prose, and operations checked against it.

`schema.json.gz` is made by tools/shopify_schema.py of what Shopify publishes (npm @shopify/dev-mcp, version 2026-10).
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.resources import files
from typing import Any

from stepwell.errors import InvalidOption

try:
    import graphql
except ImportError as error:
    raise InvalidOption(
        "FakeShopify runs operations with graphql-core, which is not installed: pip install 'stepwell[fakes]'"
    ) from error

MAX_ERRORS = 10


@cache
def shopify_schema() -> graphql.GraphQLSchema:
    """The schema; loading it takes about half a second, once."""
    text = gzip.decompress(files(__package__).joinpath("schema.json.gz").read_bytes())
    # A rule on deprecated arguments rejects Shopify's own schema, so it is taken as it is.
    return graphql.build_client_schema(json.loads(text), assume_valid=True)


def faults(document: str) -> list[str]:
    """What is wrong with a document by the schema; nothing if Shopify would take it."""
    try:
        parsed = graphql.parse(document)
    except graphql.GraphQLSyntaxError as error:
        return [error.message]
    return [error.message for error in graphql.validate(shopify_schema(), parsed)[:MAX_ERRORS]]


def run(document: str, variables: dict[str, Any], root: dict[str, Any], context: Any = None) -> graphql.ExecutionResult:
    """Execute a document that has no faults on these resolvers of the root's fields."""
    parsed = graphql.parse(document)
    return graphql.execute_sync(
        shopify_schema(), parsed, root_value=root, variable_values=variables, context_value=context
    )


def root_fields(document: str, variables: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The fields of the operation, each with the key of its directive `@idempotent`."""
    return [
        (field.name.value, _key(field, variables))
        for operation in graphql.parse(document).definitions
        if isinstance(operation, graphql.OperationDefinitionNode)
        for field in operation.selection_set.selections
        if isinstance(field, graphql.FieldNode)
    ]


def _key(field: graphql.FieldNode, variables: dict[str, Any]) -> str | None:
    for directive in field.directives or ():
        for argument in directive.arguments or ():
            if directive.name.value == "idempotent":
                return str(graphql.value_from_ast_untyped(argument.value, variables))
    return None


def cost(document: str, variables: dict[str, Any]) -> float:
    """The points that a document is asked for before it runs, by the published rules, roughly.

    An object one, a connection two and all that it may return, a mutation ten.
    """
    parsed = graphql.parse(document)
    walk = _Cost(parsed, variables)
    total = 0.0
    for definition in parsed.definitions:
        if isinstance(definition, graphql.OperationDefinitionNode):
            is_mutation = definition.operation is graphql.OperationType.MUTATION
            kind = "mutation_type" if is_mutation else "query_type"
            total += walk.of(definition.selection_set, getattr(shopify_schema(), kind)) + (10 if is_mutation else 0)
    return total


class _Cost:
    def __init__(self, parsed: graphql.DocumentNode, variables: dict[str, Any]) -> None:
        self._variables = variables
        self._fragments = {
            one.name.value: one for one in parsed.definitions if isinstance(one, graphql.FragmentDefinitionNode)
        }

    def of(self, selection: graphql.SelectionSetNode, parent: Any) -> float:
        """What the fields of an object cost."""
        total = 0.0
        for one in selection.selections:
            if isinstance(one, graphql.FragmentSpreadNode):
                fragment = self._fragments[one.name.value]
                total += self.of(fragment.selection_set, shopify_schema().type_map[fragment.type_condition.name.value])
            elif isinstance(one, graphql.InlineFragmentNode):
                condition = one.type_condition
                total += self.of(
                    one.selection_set, shopify_schema().type_map[condition.name.value] if condition else parent
                )
            elif isinstance(one, graphql.FieldNode) and one.selection_set is not None:
                total += self._field(one, parent)
        return total

    def _field(self, field: graphql.FieldNode, parent: Any) -> float:
        kind = graphql.get_named_type(parent.fields[field.name.value].type)
        inner = self.of(field.selection_set, kind) if field.selection_set else 0.0
        if kind.name.endswith("Connection"):
            size = next((self._value(one) for one in field.arguments or () if one.name.value in ("first", "last")), 0)
            return 2 + size * max(inner, 1.0)
        is_part = kind.name.endswith(("Edge", "Payload", "UserError")) or kind.name == "PageInfo"
        return inner if is_part else inner + 1

    def _value(self, argument: graphql.ArgumentNode) -> float:
        return float(graphql.value_from_ast_untyped(argument.value, self._variables) or 0)
