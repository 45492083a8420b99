"""The flow: retrieve the airports, enrich each through the vendor's API, store them, start the report.

    AIRPORTS_VENDOR_URL=http://127.0.0.1:8765 stepwell worker flows.py
"""

from __future__ import annotations

import os
from dataclasses import asdict, astuple, dataclass, fields
from itertools import batched
from pathlib import Path
from uuid import UUID

import msgspec
import psycopg
import report
from data import PAGE_SIZE, Airport, Enrichment, load_airports
from psycopg.rows import class_row
from vendor import vendor

from stepwell import App, Permanent, Retry, RetryAfter, Step, current_step
