"""``evault policy``."""

from __future__ import annotations

from typing import Any

import pytest

from vault import Policy, Vault, parse_identity_file


def policy_of(world: Any) -> Policy:
    with Vault.open(world.vault) as vault:
        return vault.state.policy


def test_an_owner_changes_the_rules_and_says_why(world: Any) -> None:
    changed = world.call("policy", world.vault, "two-person-destroy,clock=60", "--reason", "agreed",
                         *world.owner)  # fmt: skip
    assert changed.code == 0, changed.err
    assert changed.out == "4\n"
    assert "from event 4 on: public times to 60 s; two persons to destroy." in changed.err
    assert policy_of(world) == Policy(60, two_person_destroy=True)
    with Vault.open(world.vault, identity=reader(world)) as vault:
        assert vault.fields(vault.event(4))["reason"] == "agreed"
    assert "public times to 60 s, two persons to destroy" in world.call("show", world.vault).out


def reader(world: Any) -> Any:
    passphrase = (world.folder / "reader.txt").read_bytes().strip()
    return parse_identity_file((world.folder / "reader.age").read_bytes(), passphrase)


def test_what_is_not_named_stays_as_it_is(world: Any) -> None:
    assert world.call("policy", world.vault, "two-person-destroy", *world.owner).code == 0
    assert world.call("policy", world.vault, "clock=3600", *world.owner).code == 0
    assert policy_of(world) == Policy(3600, two_person_destroy=True)
    second = world.call("policy", world.vault, "clock=1", *world.owner)
    assert "public times to 1 s; two persons to destroy." in second.err
    assert world.call("policy", world.vault, "clock=3600", *world.owner).code == 0
    finer = world.call("policy", world.vault, "clock=1", *world.owner, "--json")
    assert finer.json["policy"] == {"clock": 1, "two_person_destroy": True}
    assert finer.json["event"] == 8
    assert world.call("verify", world.vault).code == 0


def test_rules_that_hold_already_are_not_written_again(world: Any) -> None:
    world.call("policy", world.vault, "clock=60", *world.owner)
    files = world.files()
    again = world.call("policy", world.vault, "clock=60", *world.owner)
    assert (again.code, again.out) == (2, "")
    assert "the rules already" in again.err
    assert world.files() == files


@pytest.mark.parametrize("rules", ["", ",", "one-person-destroy", "clock", "clock=0", "clock=1.5"])
def test_what_is_no_rule_is_refused(world: Any, rules: str) -> None:
    files = world.files()
    refused = world.call("policy", world.vault, rules, *world.owner)
    assert (refused.code, refused.out) == (2, "")
    assert "clock=SECONDS" in refused.err
    assert world.files() == files


def test_only_an_owner_may(world: Any) -> None:
    files = world.files()
    known = ("--vault-id", vault_id(world))
    refused = world.call("policy", world.vault, "clock=60", *world.reader, *known)
    assert (refused.code, refused.out) == (3, "")
    assert "does not have the role" in refused.err
    assert world.files() == files


def vault_id(world: Any) -> str:
    with Vault.open(world.vault) as vault:
        return vault.id.hex()


def test_a_new_vault_names_the_verb_that_adds_owners_and_readers(world: Any, tmp_path: Any) -> None:
    card = world.folder / "reader.card"
    made = world.call("init", tmp_path / "new", "--reader", card, *world.owner)
    assert made.code == 0
    assert f"`evault admit {tmp_path / 'new'} CARD --role owner` makes a second owner" in made.err
    assert "--role reader" in made.err
