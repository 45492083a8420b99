"""`stepwell connections`, `applications` and `keys`: what is secret goes in, and never comes out."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from stepwell import App
from stepwell.sealing import new_key
from tests.cli.conftest import Cli

CANARY = "canary-61fe"
URLS = ["--set", "authorize_url=https://login.example.com/a", "--set", "token_url=https://login.example.com/t"]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[None]:
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())
    yield

    async def empty() -> None:
        async with App(database_url) as app:
            for connection in await app.connections.list():
                await app.connections.remove(connection.name)
            for application in await app.applications.list():
                await app.applications.remove(application.name)

    monkeypatch.setenv("STEPWELL_KEYS", new_key("k1").text())
    asyncio.run(empty())


def ok(done: Result) -> Result:
    assert CANARY not in done.output
    assert done.exit_code == 0, done.output
    return done


def document(done: Result) -> Any:
    return json.loads(ok(done).stdout)


def secrets_of(database_url: str, name: str) -> dict[str, str]:
    """What connectors are lent."""

    async def read() -> dict[str, str]:
        async with App(database_url) as app, app.connected():
            lent = await (await app._open_accounts()).lending.use(name)
            return {key: secret.reveal() for key, secret in lent.secrets.items()}

    return asyncio.run(read())


# --- connections ------------------------------------------------------------------------------------------------------


def test_secret_comes_from_a_line_of_standard_input(cli: Cli, database_url: str) -> None:
    arguments = ("connections", "add", "acme", "example", "--secret", "user", "--secret", "password")
    done = ok(cli(*arguments, stdin=f"u-{CANARY}\np-{CANARY}\n"))

    assert done.stdout == "acme  ok\n"
    assert secrets_of(database_url, "acme") == {"user": f"u-{CANARY}", "password": f"p-{CANARY}"}


@pytest.mark.parametrize("source", ["env:THE_TOKEN", "file:token.txt", "-"])
def test_secret_comes_from_elsewhere(
    cli: Cli, database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("THE_TOKEN", CANARY)
    (folder / "token.txt").write_text(f"{CANARY}\n")

    ok(cli("connections", "add", "acme", "example", "--secret-from", f"token={source}", stdin=f"{CANARY}\n"))

    assert secrets_of(database_url, "acme") == {"token": CANARY}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--secret-from", f"token={CANARY}"], "take it from env:VARIABLE, file:PATH or -"),
        (["--secret-from", "token=env:UNSET_VARIABLE"], "env:UNSET_VARIABLE holds nothing"),
        (["--secret-from", "token=file:missing"], "missing cannot be read (FileNotFoundError)"),
        (["--secret-from", "token"], "write it as NAME=..., once for each"),
        (["--secret", "token"], "standard input ends before secret 'token'"),
        (["--secret-from", "token=-", "--set", "region"], "--set: write it as NAME=..."),
    ],
)
def test_secret_that_cannot_be_had_is_told_by_its_name(cli: Cli, arguments: list[str], message: str) -> None:
    done = cli("connections", "add", "acme", "example", *arguments, stdin="")

    assert (done.exit_code, message in done.stderr, CANARY in done.output) == (2, True, False)


def test_connection_is_listed_and_shown_without_its_secrets(cli: Cli) -> None:
    ok(cli("connections", "add", "acme", "example", "--set", "region=eu", "--secret", "token", stdin=f"{CANARY}\n"))

    header, row = ok(cli("connections", "list")).stdout.splitlines()
    assert header.split() == ["CONNECTION", "CONNECTOR", "STATUS", "TOKEN", "UNTIL", "CHECKED", "WHY"]
    assert row.split() == ["acme", "example", "ok", "-", "-"]
    assert "setting region  eu" in ok(cli("connections", "show", "acme")).stdout
    shown = document(cli("connections", "show", "acme", "--json"))
    assert document(cli("connections", "list", "--json")) == {"connections": [shown]}
    assert (shown["name"], shown["settings"], shown["has_hook_secrets"]) == ("acme", {"region": "eu"}, False)


def test_list_without_connections_says_how_to_make_one(cli: Cli) -> None:
    assert ok(cli("connections", "list")).stderr == (
        "there are no connections; `stepwell connections add NAME CONNECTOR` makes one\n"
    )


def test_secrets_that_the_connector_declares_are_asked_for(cli: Cli, database_url: str) -> None:
    ok(cli("connections", "add", "acme", "sql", stdin=f"{CANARY}\n"))

    assert secrets_of(database_url, "acme") == {"url": CANARY}


def test_connector_whose_secrets_are_a_choice_says_which_there_are(cli: Cli) -> None:
    done = ok(cli("connections", "add", "acme", "azure-devops", "--set", "organization=acme"))

    assert done.stderr == "it has no secret yet; azure-devops takes pat, token\n"


def test_settings_that_the_connector_needs_are_asked_for_by_name(cli: Cli) -> None:
    done = ok(cli("connections", "add", "acme", "azure-devops", "--secret", "pat", stdin=f"{CANARY}\n"))

    assert done.stderr == (
        "it has no organization yet (the organization's name, as in https://dev.azure.com/{organization});"
        " `stepwell connections change acme --set organization=...` sets it\n"
    )


def test_test_of_a_connection_says_what_is_missing_and_the_command_that_sets_it(cli: Cli) -> None:
    ok(cli("connections", "add", "acme", "azure-devops", "--secret", "pat", stdin=f"{CANARY}\n"))

    done = cli("connections", "test", "acme")

    assert done.exit_code == 1
    assert "`stepwell connections change acme --set organization=...` sets it" in done.stderr


def test_connection_that_only_takes_webhooks_is_asked_for_nothing_else(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", CANARY)

    added = document(cli("connections", "add", "acme", "github", "--hook-secret-from", "env:HOOK_SECRET", "--json"))

    assert (added["status"], added["has_hook_secrets"]) == ("ok", True)


@pytest.mark.parametrize("verb", [("add", "acme", "sql"), ("change", "acme")])
def test_secret_is_refused_as_a_setting(cli: Cli, verb: tuple[str, ...]) -> None:
    ok(cli("connections", "add", "acme", "sql", stdin="u\n"))

    done = cli("connections", *verb, "--set", f"url={CANARY}")

    assert (done.exit_code, CANARY in done.output) == (2, False)
    assert "url is a secret of sql; use --secret url" in done.stderr


def test_rotated_secret_is_lent(cli: Cli, database_url: str) -> None:
    ok(cli("connections", "add", "acme", "example", "--secret", "token", stdin="old\n"))

    ok(cli("connections", "rotate", "acme", "--secret", "token", stdin=f"{CANARY}\n"))

    assert secrets_of(database_url, "acme") == {"token": CANARY}


def test_hook_secret_is_set_and_kept_beside_the_one_before(cli: Cli, database_url: str) -> None:
    ok(cli("connections", "add", "acme", "example", "--secret", "token", stdin="t\n"))
    for secret in ("first", "second", "third"):
        ok(cli("connections", "rotate", "acme", "--hook-secret-from", "-", stdin=secret))

    async def endpoints() -> list[tuple[bytes, ...]]:
        async with App(database_url) as app:
            return [one.secrets for one in await (await app._open_accounts()).endpoints.endpoints()]

    assert asyncio.run(endpoints()) == [(b"third", b"second")]


def test_test_tells_whether_it_works(cli: Cli) -> None:
    ok(cli("connections", "add", "acme", "example", "--secret", "token", stdin="t\n"))

    assert ok(cli("connections", "test", "acme")).stdout == "acme  works\n"
    ok(cli("connections", "disable", "acme"))
    done = cli("connections", "test", "acme")

    assert (done.exit_code, done.stdout) == (1, "acme  does not work\n")
    assert done.stderr == "connection 'acme' is disabled\n"
    ok(cli("connections", "enable", "acme"))
    assert document(cli("connections", "show", "acme", "--json"))["check_error"] == "connection 'acme' is disabled"


def test_settings_are_changed_one_by_one(cli: Cli) -> None:
    ok(cli("connections", "add", "acme", "example", "--set", "a=1", "--set", "b=2", "--secret", "t", stdin="t\n"))

    ok(cli("connections", "change", "acme", "--set", "b=3", "--set", "c=4", "--unset", "a"))

    assert document(cli("connections", "show", "acme", "--json"))["settings"] == {"b": "3", "c": "4"}


@pytest.mark.parametrize("verb", ["show", "test", "enable", "disable", "remove"])
def test_unknown_connection_is_told(cli: Cli, verb: str) -> None:
    done = cli("connections", verb, "nobody")

    assert (done.exit_code, "there is no connection 'nobody'" in done.stderr) == (1, True)


def test_without_keys_one_sentence_says_how_to_make_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWELL_KEYS")

    done = cli("connections", "add", "acme", "example", "--secret", "token", stdin="t\n")

    assert (done.exit_code, "`stepwell keys new` makes one" in done.stderr) == (2, True)
    assert ok(cli("connections", "list")).exit_code == 0


# --- applications and consent -----------------------------------------------------------------------------------------


def add_application(cli: Cli, *more: str) -> None:
    arguments = ("applications", "add", "crm", "example", "--set", "client_id=7", *URLS, *more)
    ok(cli(*arguments, stdin=f"{CANARY}\n"))


def test_application_is_listed_without_its_secret_and_removed(cli: Cli) -> None:
    add_application(cli)

    (listed,) = document(cli("applications", "list", "--json"))["applications"]
    assert (listed["name"], listed["kind"], listed["settings"]["client_id"]) == ("crm", "oauth2-code", "7")
    assert ok(cli("applications", "change", "crm", "--set", "client_id=8")).stdout == "crm  oauth2-code\n"
    assert "client_id=8" in ok(cli("applications", "list")).stdout
    assert ok(cli("applications", "remove", "crm")).stdout == "crm  removed\n"
    assert cli("applications", "remove", "crm").exit_code == 1


def test_connection_that_needs_consent_says_what_comes_next(cli: Cli) -> None:
    add_application(cli)

    done = ok(cli("connections", "add", "acme", "example", "--application", "crm"))

    assert (done.stdout, done.stderr) == (
        "acme  needs_reauth\n",
        "`stepwell connections connect acme` asks for consent\n",
    )


def test_address_to_agree_at_is_printed(cli: Cli) -> None:
    add_application(cli)
    ok(cli("connections", "add", "acme", "example", "--application", "crm"))

    url = ok(cli("connections", "connect", "acme", "--no-wait")).stdout

    assert url.startswith("https://login.example.com/a?response_type=code&client_id=7&")
    assert "redirect_uri=http%3A%2F%2F127.0.0.1%3A8350%2Foauth%2Fcallback" in url


def test_what_came_back_for_another_consent_is_refused(cli: Cli) -> None:
    add_application(cli)
    ok(cli("connections", "add", "acme", "example", "--application", "crm"))

    done = cli(
        "connections", "connect", "acme", "--redirect", "https://example.com/back",
        stdin="https://example.com/back?code=1&state=other\n",
    )  # fmt: skip

    assert (done.exit_code, "nobody began this" in done.stderr) == (1, True)


# --- keys -------------------------------------------------------------------------------------------------------------


def test_new_key_is_printed_once_and_can_be_used(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    done = cli("keys", "new", "--id", "k2")
    monkeypatch.setenv("STEPWELL_KEYS", f"{done.stdout.strip()},{os.environ['STEPWELL_KEYS']}")

    assert [one["id"] for one in document(cli("keys", "list", "--json"))["keys"]] == ["k2", "k1"]


def test_new_key_goes_in_front_of_a_file_that_is_its_owners(cli: Cli, folder: Path) -> None:
    for name in ("one", "two"):
        done = ok(cli("keys", "new", "--id", name, "--file", "keys"))

    lines = (folder / "keys").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["two", "one"]
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o600
    assert not any(line.partition(":")[2] in done.output for line in lines)


def test_rotation_says_what_it_did_and_what_is_no_longer_needed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    ok(cli("connections", "add", "acme", "example", "--secret", "token", stdin="t\n"))
    monkeypatch.setenv("STEPWELL_KEYS", f"{new_key('k2').text()},{os.environ['STEPWELL_KEYS']}")

    first, second = ok(cli("keys", "rotate")), ok(cli("keys", "rotate"))

    assert (first.stdout, first.stderr) == ("1 row encrypted again\n", "no longer needed but by backups: k1\n")
    assert second.stdout == "0 rows encrypted again\n"


def test_values_of_a_missing_key_are_counted_and_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    ok(cli("connections", "add", "acme", "example", "--secret", "token", stdin="t\n"))
    monkeypatch.setenv("STEPWELL_KEYS", new_key("k2").text())

    listed = ok(cli("keys", "list")).stdout.splitlines()
    rotated = cli("keys", "rotate")

    assert [line.split() for line in listed[1:]] == [["k2", "seals", "0"], ["k1", "missing", "1"]]
    assert (rotated.exit_code, "credentials of connection 'acme', sealed with key 'k1'" in rotated.stderr) == (1, True)
