"""Make the schema of Shopify's Admin API that the fake shop checks operations against, without its prose.

Shopify ships its introspection in the npm package @shopify/dev-mcp (ISC licence). With the package unpacked:

    npm pack @shopify/dev-mcp && tar xzf shopify-dev-mcp-*.tgz
    python tools/shopify_schema.py package/dist/data/admin_2026-10.json.gz

writes src/stepwell/testing/vendors/shopify/schema.json.gz: every type, field and argument, no prose. With --check
nothing is written; the exit code says whether the file in the repository is what the package gives.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "src/stepwell/testing/vendors/shopify/schema.json.gz"

PROSE = {"description", "deprecationReason", "isDeprecated", "specifiedByURL"}


def pruned(node: Any) -> Any:
    """The same without what is written for people."""
    if isinstance(node, dict):
        return {name: pruned(value) for name, value in node.items() if name not in PROSE}
    return [pruned(value) for value in node] if isinstance(node, list) else node


def schema_of(source: Path) -> bytes:
    """The compressed file that an introspection gives; the same bytes each time."""
    with gzip.open(source) as file:
        introspection = json.load(file)
    text = json.dumps(pruned(introspection.get("data", introspection)), separators=(",", ":"), sort_keys=True)
    return gzip.compress(text.encode(), 9, mtime=0)


def main() -> int:
    """Read the command line; write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="admin_<version>.json.gz of the package")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    given = parser.parse_args()
    made = schema_of(given.source)
    if given.check:
        is_same = gzip.decompress(made) == gzip.decompress(TARGET.read_bytes())
        print("the schema is that of the package" if is_same else f"{TARGET} is not what {given.source} gives")
        return 0 if is_same else 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(made)
    print(f"{TARGET}: {len(made):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
