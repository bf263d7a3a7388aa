# SPDX-License-Identifier: Apache-2.0
"""Who may do what: the table of design section 6, row by row."""

from __future__ import annotations

import grp
import pwd
from types import SimpleNamespace

import pytest

from facelatch.config import Config, LatchConfig, PolicyConfig
from facelatch.daemon.policy import Action, Policy
from facelatch.ipc.peer import Peer

NAMES = {0: "root", 1000: "anna", 1001: "bob", 1002: "keeper"}
GROUP = 400
CONFIG = Config(policy=PolicyConfig(administrators=["keeper"]), audiences={"front-door": ["bob"]})

ROOT = Peer(1, 0, 0, frozenset({0}))
ANNA = Peer(2, 1000, 1000, frozenset({1000}))
BOB_IN_GROUP = Peer(3, 1001, 1001, frozenset({1001, GROUP}))
KEEPER = Peer(4, 1002, 1002, frozenset({1002}))
NAMELESS = Peer(5, 4242, 4242, frozenset({4242}))
PRIVILEGED = (Action.ENROLL, Action.LIST_USERS, Action.REMOVE_USER, Action.RESET_LOCKOUT, Action.SEAL)


@pytest.fixture(autouse=True)
def _accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    def getpwuid(uid: int) -> SimpleNamespace:
        return SimpleNamespace(pw_name=NAMES[uid])

    def getgrnam(name: str) -> SimpleNamespace:
        if name != "facelatch":
            raise KeyError(name)
        return SimpleNamespace(gr_gid=GROUP)

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    monkeypatch.setattr(grp, "getgrnam", getgrnam)


@pytest.mark.parametrize("peer", [ROOT, KEEPER], ids=["root", "administrator"])
@pytest.mark.parametrize("action", list(Action))
def test_root_and_administrators_may_do_everything(peer: Peer, action: Action) -> None:
    assert Policy(CONFIG).allows(peer, action, "anna")


@pytest.mark.parametrize("peer", [ANNA, BOB_IN_GROUP, NAMELESS], ids=["anna", "bob", "nameless"])
@pytest.mark.parametrize("action", PRIVILEGED)
def test_nobody_else_may_manage_not_even_themselves(peer: Peer, action: Action) -> None:
    assert not Policy(CONFIG).allows(peer, action, NAMES.get(peer.uid))


def test_a_person_may_verify_themselves_only() -> None:
    policy = Policy(CONFIG)
    assert policy.allows(ANNA, Action.VERIFY, "anna")
    assert not policy.allows(ANNA, Action.VERIFY, "bob")
    assert not policy.allows(ANNA, Action.VERIFY, None)


def test_members_of_the_group_may_verify_anyone() -> None:
    policy = Policy(CONFIG)
    assert policy.allows(BOB_IN_GROUP, Action.VERIFY, None)
    assert policy.allows(BOB_IN_GROUP, Action.VERIFY, "anna")


def test_members_may_watch_but_open_nobodys_secrets() -> None:
    policy = Policy(CONFIG)
    assert policy.allows(BOB_IN_GROUP, Action.MONITOR)
    assert not policy.allows(ANNA, Action.MONITOR)
    assert not policy.allows(BOB_IN_GROUP, Action.UNSEAL, "anna")
    assert policy.allows(ANNA, Action.UNSEAL, "anna")
    assert policy.allows(ANNA, Action.REFRESH, "anna")
    assert not policy.allows(BOB_IN_GROUP, Action.REFRESH, "anna")


def test_the_latch_is_for_those_named_and_not_for_members() -> None:
    policy = Policy(Config(latch=LatchConfig(allow=["anna"])))
    assert policy.allows(ANNA, Action.OPEN_LATCH)
    assert not policy.allows(BOB_IN_GROUP, Action.OPEN_LATCH)
    assert not policy.allows(NAMELESS, Action.OPEN_LATCH)


def test_a_group_that_does_not_exist_has_no_members() -> None:
    config = Config(policy=PolicyConfig(group="nosuch"))
    assert not Policy(config).allows(BOB_IN_GROUP, Action.VERIFY, None)


def test_a_uid_without_a_name_matches_no_user_without_a_name() -> None:
    assert not Policy(CONFIG).allows(NAMELESS, Action.VERIFY, None)
    assert not Policy(CONFIG).allows(NAMELESS, Action.VERIFY, "anna")


def test_a_signature_is_for_a_configured_audience_and_whoever_may_ask_for_it() -> None:
    policy = Policy(CONFIG)
    assert policy.allows_audience(BOB_IN_GROUP, "front-door")
    assert policy.allows_audience(ROOT, "front-door")
    assert not policy.allows_audience(ANNA, "front-door")
    assert not policy.allows_audience(KEEPER, "front-door")
    assert not policy.allows_audience(ROOT, "back-door")


def test_who_learns_that_a_name_is_not_enrolled() -> None:
    policy = Policy(CONFIG)
    assert policy.may_know(ROOT, "x")
    assert policy.may_know(ANNA, "anna")
    assert not policy.may_know(ANNA, "bob")
    assert not policy.may_know(BOB_IN_GROUP, "anna")


def test_root_alone_is_next_for_the_camera_whoever_else_asks() -> None:
    policy = Policy(CONFIG)
    assert [policy.comes_first(peer) for peer in (ROOT, KEEPER, BOB_IN_GROUP, ANNA, NAMELESS)] == [True] + [False] * 4
