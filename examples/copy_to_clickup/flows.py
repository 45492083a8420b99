"""A work item is created in Azure DevOps: it becomes a task in ClickUp, somebody approves it, and the answer goes back.

    stepwell worker flows.py        runs it
    stepwell serve flows.py         takes the webhooks and the answers

`python -m examples.copy_to_clickup.demo` does both against fakes of the two vendors, and kills each worker at a step.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from stepwell import App, Step
from stepwell.connectors import AzureDevOps, ClickUp

app = App()
azure, clickup = AzureDevOps("acme-devops"), ClickUp("acme-clickup")

LIST = os.environ.get("CLICKUP_LIST", "901")
COOLDOWN = os.environ.get("COOLDOWN", "24h")


@dataclass(frozen=True)
class Approval:
    """What somebody says to a new task."""

    approved: bool
    comment: str = ""


@app.workflow(trigger=azure.on_work_item_created())
async def copy_to_clickup(event: AzureDevOps.WorkItemCreated, step: Step) -> str:
    """The id of the task."""
    item = await step.run("get-work-item", azure.get_work_item, event.payload.id)
    name = f"{item.type} {item.id}: {item.title}"
    task: ClickUp.Task = await step.run("create-task", clickup.create_task, LIST, name)
    url = await step.callback_url("approval", type=Approval, expires="7d", prompt=f"Approve '{item.title}'?")
    await step.run("ask", clickup.add_comment, task.id, f"Please approve: {url}")
    decision = await step.wait_for_event("approval", type=Approval, timeout="8d")  # longer than the URL
    await step.sleep("cooldown", COOLDOWN)
    await step.run("comment-back", azure.add_comment, item.id, answer_of(decision, task), project=item.project)
    return task.id


def answer_of(decision: Approval | None, task: ClickUp.Task) -> str:
    """What is written to the work item."""
    if decision is None:
        return f"Nobody has answered for a week: {task.url}"
    verdict = "approved" if decision.approved else "declined"
    return f"The task was {verdict}: {task.url} {decision.comment}".strip()
