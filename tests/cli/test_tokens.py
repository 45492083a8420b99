"""`stepwell tokens` and `stepwell serve` as commands."""

from __future__ import annotations

import json
from typing import Any

from stepwell.core.tokens import PREFIX
from tests.cli.conftest import Cli


def document(cli: Cli, *arguments: str) -> Any:
    return json.loads(cli("tokens", *arguments, "--json").stdout)


def test_token_is_printed_once_and_listed_without_its_text(cli: Cli) -> None:
    made = cli("tokens", "create", "grafana", "--scope", "read", "--expires", "90d", "--by", "ann")
    listed = cli("tokens", "list")

    secret = made.stdout.strip()
    assert secret.startswith(PREFIX)
    assert "shown this once" in made.stderr
    assert secret not in listed.stdout
    header, row = listed.stdout.splitlines()
    assert header.split() == ["TOKEN", "SCOPE", "STATE", "CREATED", "LAST", "USED", "EXPIRES"]
    assert row.split()[:3] == ["grafana", "read", "good"]


def test_revoked_token_says_who_revoked_it(cli: Cli) -> None:
    made = document(cli, "create", "ci", "--scope", "operate")
    revoked = document(cli, "revoke", "ci", "--by", "bob")
    (listed,) = document(cli, "list")["tokens"]

    assert made["token"].startswith(PREFIX)
    assert (revoked["revoked_by"], listed) == ("bob", revoked)
    assert "revoked by bob" in cli("tokens", "list").stdout


def test_list_without_tokens_says_what_that_means(cli: Cli) -> None:
    assert cli("tokens", "list").stderr == "there are no tokens: the API serves this machine only, without\n"


def test_name_that_is_taken_and_one_that_is_not_there_are_refused(cli: Cli) -> None:
    cli("tokens", "create", "ci", "--scope", "read")

    taken = cli("tokens", "create", "ci", "--scope", "admin")
    unknown = cli("tokens", "revoke", "nobody")

    assert (taken.exit_code, "revoke it first" in taken.stderr) == (2, True)
    assert (unknown.exit_code, "there are: ci" in unknown.stderr) == (1, True)


def test_scope_must_be_said(cli: Cli) -> None:
    assert cli("tokens", "create", "ci").exit_code == 2
    assert cli("tokens", "create", "ci", "--scope", "root").exit_code == 2


def test_server_refuses_an_address_that_others_reach_while_there_is_no_token(cli: Cli) -> None:
    refused = cli("serve", "--host", "0.0.0.0", "--port", "0")

    assert refused.exit_code == 2
    assert "stepwell tokens create" in refused.stderr
    assert "--host 127.0.0.1" in refused.stderr


def test_server_refuses_a_public_url_that_is_none(cli: Cli) -> None:
    for url in ("flows.example.com", "ftp://x", "https://", "https://x/?a=1"):
        assert cli("serve", "--public-url", url).exit_code == 2
