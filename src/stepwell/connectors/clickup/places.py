"""The places that tasks are in: spaces, folders, lists, and the custom fields that a list gives its tasks."""

from __future__ import annotations

from stepwell.connectors.base import action
from stepwell.connectors.clickup.protocol import ClickUpProtocol
from stepwell.connectors.clickup.types import CustomField, Place, custom_field, place
from stepwell.connectors.http import segment
from stepwell.errors import InvalidOption


class PlaceActions(ClickUpProtocol):
    """Source: developer.clickup.com/reference (spaces, folders, lists, custom fields), version 2."""

    @action(repeat="safe")
    async def list_custom_fields(self, list_id: str) -> list[CustomField]:
        """The custom fields that tasks of a list can have."""
        path = f"/list/{segment(list_id)}/field"
        found = await self.api("GET", path, operation=f"list custom fields of {list_id}")
        return [custom_field(raw) for raw in found["fields"]]

    @action(repeat="safe")
    async def list_spaces(self, *, archived: bool = False, team: str | None = None) -> list[Place]:
        """The spaces of a Workspace."""
        path = f"/team/{await self.needed_team(team)}/space"
        return await self._places(path, "spaces", archived=archived)

    @action(repeat="safe")
    async def list_folders(self, space_id: str, *, archived: bool = False) -> list[Place]:
        """The folders of a space."""
        return await self._places(f"/space/{segment(space_id)}/folder", "folders", archived=archived)

    @action(repeat="safe")
    async def list_lists(
        self, *, space_id: str | None = None, folder_id: str | None = None, archived: bool = False
    ) -> list[Place]:
        """The lists of a folder, or those of a space that are in no folder: name one of the two."""
        if (space_id is None) == (folder_id is None):
            raise InvalidOption("list_lists: name either a space_id or a folder_id")
        where = f"/space/{segment(space_id)}" if space_id is not None else f"/folder/{segment(str(folder_id))}"
        return await self._places(f"{where}/list", "lists", archived=archived)

    async def _places(self, path: str, kind: str, *, archived: bool) -> list[Place]:
        found = await self.api("GET", path, operation=f"list {kind}", query=[("archived", archived)])
        return [place(raw) for raw in found[kind]]

    @action(repeat="safe")
    async def get_list(self, id: str) -> Place:
        """The list with that id, with the statuses that its tasks can have."""
        return place(await self.api("GET", f"/list/{segment(id)}", operation=f"get list {id}"))
