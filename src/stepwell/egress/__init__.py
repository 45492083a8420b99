"""Where requests may go: no server of ours can be made to reach into a private network."""

from stepwell.egress.client import guarded_client
from stepwell.egress.rules import EgressRefused, Rules

__all__ = ["EgressRefused", "Rules", "guarded_client"]
