"""Durable execution for Python on PostgreSQL: ordinary functions whose steps survive crashes.

Names are loaded when they are first used, so that `stepwell --help` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.app.application import App as App
    from stepwell.app.control import Bulk as Bulk
    from stepwell.app.handle import Handle as Handle
    from stepwell.core.accounts import ApplicationInfo as ApplicationInfo
    from stepwell.core.accounts import ConnectionInfo as ConnectionInfo
    from stepwell.core.accounts import Consent as Consent
    from stepwell.core.accounts import KeyInfo as KeyInfo
    from stepwell.core.callbacks import Callback as Callback
    from stepwell.core.callbacks import CallbackInfo as CallbackInfo
    from stepwell.core.dispatching import EventInfo as EventInfo
    from stepwell.core.dispatching import EventTrigger as EventTrigger
    from stepwell.core.model import AuditRecord as AuditRecord
    from stepwell.core.model import EventRecord as EventRecord
    from stepwell.core.model import Execution as Execution
    from stepwell.core.model import Sent as Sent
    from stepwell.core.model import StepRecord as StepRecord
    from stepwell.core.model import WaitRecord as WaitRecord
    from stepwell.core.retry import Retry as Retry
    from stepwell.core.schedule import Schedule as Schedule
    from stepwell.core.schedule import Tick as Tick
    from stepwell.core.status import Status as Status
    from stepwell.core.tokens import IssuedToken as IssuedToken
    from stepwell.core.tokens import Scope as Scope
    from stepwell.core.tokens import Token as Token
    from stepwell.core.triggers import Page as Page
    from stepwell.core.triggers import cron as cron
    from stepwell.core.triggers import every as every
    from stepwell.core.triggers import on_event as on_event
    from stepwell.core.triggers import poll as poll
    from stepwell.core.triggers import webhook as webhook
    from stepwell.core.webhooks import Delivery as Delivery
    from stepwell.core.webhooks import HookSpec as HookSpec
    from stepwell.core.webhooks import WebhookEvent as WebhookEvent
    from stepwell.core.workers import WorkerRecord as WorkerRecord
    from stepwell.errors import AuthorisationFailed as AuthorisationFailed
    from stepwell.errors import CallbackAnswered as CallbackAnswered
    from stepwell.errors import CallbackClosed as CallbackClosed
    from stepwell.errors import Cancelled as Cancelled
    from stepwell.errors import ChildFailed as ChildFailed
    from stepwell.errors import ConnectionUnusable as ConnectionUnusable
    from stepwell.errors import DatabaseError as DatabaseError
    from stepwell.errors import DatabaseNotReady as DatabaseNotReady
    from stepwell.errors import DatabaseUnavailable as DatabaseUnavailable
    from stepwell.errors import EmbeddedUnavailable as EmbeddedUnavailable
    from stepwell.errors import ExecutionCancelled as ExecutionCancelled
    from stepwell.errors import ExecutionFailed as ExecutionFailed
    from stepwell.errors import HistoryTooLarge as HistoryTooLarge
    from stepwell.errors import InvalidAnswer as InvalidAnswer
    from stepwell.errors import InvalidInput as InvalidInput
    from stepwell.errors import InvalidOption as InvalidOption
    from stepwell.errors import InvalidValue as InvalidValue
    from stepwell.errors import KeyConflict as KeyConflict
    from stepwell.errors import NeedsReauthorisation as NeedsReauthorisation
    from stepwell.errors import NotAllowed as NotAllowed
    from stepwell.errors import NotYet as NotYet
    from stepwell.errors import PayloadTooLarge as PayloadTooLarge
    from stepwell.errors import Permanent as Permanent
    from stepwell.errors import ResultTimeout as ResultTimeout
    from stepwell.errors import RetryAfter as RetryAfter
    from stepwell.errors import StepFailed as StepFailed
    from stepwell.errors import StepTimeout as StepTimeout
    from stepwell.errors import StepwellError as StepwellError
    from stepwell.errors import UnknownApplication as UnknownApplication
    from stepwell.errors import UnknownCallback as UnknownCallback
    from stepwell.errors import UnknownConnection as UnknownConnection
    from stepwell.errors import UnknownDelivery as UnknownDelivery
    from stepwell.errors import UnknownExecution as UnknownExecution
    from stepwell.errors import UnknownSchedule as UnknownSchedule
    from stepwell.errors import UnknownStep as UnknownStep
    from stepwell.errors import UnknownToken as UnknownToken
    from stepwell.errors import UnknownWorkflow as UnknownWorkflow
    from stepwell.errors import Unsealable as Unsealable
    from stepwell.running import StepContext as StepContext
    from stepwell.running import current_step as current_step
    from stepwell.runtime.effects import REPEAT as REPEAT
    from stepwell.runtime.effects import Repeat as Repeat
    from stepwell.runtime.firsts import First as First
    from stepwell.runtime.functions import step as step
    from stepwell.runtime.registry import Workflow as Workflow
    from stepwell.runtime.step import Step as Step
    from stepwell.runtime.sync_step import SyncStep as SyncStep

_ERRORS = (
    "AuthorisationFailed",
    "CallbackAnswered",
    "CallbackClosed",
    "Cancelled",
    "ChildFailed",
    "ConnectionUnusable",
    "DatabaseError",
    "DatabaseNotReady",
    "DatabaseUnavailable",
    "EmbeddedUnavailable",
    "ExecutionCancelled",
    "ExecutionFailed",
    "HistoryTooLarge",
    "InvalidAnswer",
    "InvalidInput",
    "InvalidOption",
    "InvalidValue",
    "KeyConflict",
    "NeedsReauthorisation",
    "NotAllowed",
    "NotYet",
    "PayloadTooLarge",
    "Permanent",
    "ResultTimeout",
    "RetryAfter",
    "StepFailed",
    "StepTimeout",
    "StepwellError",
    "UnknownApplication",
    "UnknownCallback",
    "UnknownConnection",
    "UnknownDelivery",
    "UnknownExecution",
    "UnknownSchedule",
    "UnknownStep",
    "UnknownToken",
    "UnknownWorkflow",
    "Unsealable",
)

_HOMES = {
    "App": "stepwell.app.application",
    "Callback": "stepwell.core.callbacks",
    "CallbackInfo": "stepwell.core.callbacks",
    "ApplicationInfo": "stepwell.core.accounts",
    "ConnectionInfo": "stepwell.core.accounts",
    "Consent": "stepwell.core.accounts",
    "KeyInfo": "stepwell.core.accounts",
    "Delivery": "stepwell.core.webhooks",
    "EventInfo": "stepwell.core.dispatching",
    "EventRecord": "stepwell.core.model",
    "EventTrigger": "stepwell.core.dispatching",
    "AuditRecord": "stepwell.core.model",
    "Bulk": "stepwell.app.control",
    "Execution": "stepwell.core.model",
    "First": "stepwell.runtime.firsts",
    "Handle": "stepwell.app.handle",
    "IssuedToken": "stepwell.core.tokens",
    "HookSpec": "stepwell.core.webhooks",
    "REPEAT": "stepwell.runtime.effects",
    "Page": "stepwell.core.triggers",
    "Repeat": "stepwell.runtime.effects",
    "Retry": "stepwell.core.retry",
    "Schedule": "stepwell.core.schedule",
    "Scope": "stepwell.core.tokens",
    "Sent": "stepwell.core.model",
    "Status": "stepwell.core.status",
    "Step": "stepwell.runtime.step",
    "StepContext": "stepwell.running",
    "StepRecord": "stepwell.core.model",
    "WaitRecord": "stepwell.core.model",
    "SyncStep": "stepwell.runtime.sync_step",
    "Tick": "stepwell.core.schedule",
    "Token": "stepwell.core.tokens",
    "WebhookEvent": "stepwell.core.webhooks",
    "WorkerRecord": "stepwell.core.workers",
    "Workflow": "stepwell.runtime.registry",
    "cron": "stepwell.core.triggers",
    "current_step": "stepwell.running",
    "every": "stepwell.core.triggers",
    "on_event": "stepwell.core.triggers",
    "poll": "stepwell.core.triggers",
    "step": "stepwell.runtime.functions",
    "webhook": "stepwell.core.triggers",
    **dict.fromkeys(_ERRORS, "stepwell.errors"),
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepwell' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
