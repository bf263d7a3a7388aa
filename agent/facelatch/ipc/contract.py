# SPDX-License-Identifier: Apache-2.0
"""How a Varlink interface is declared once, and then implemented, called and printed from that declaration.

A declaration is a class whose methods have types and no bodies. The decorators leave the static type alone, so a type
checker holds an implementation (a subclass) and a caller (``client.connect``) to the same signature; at run time they
attach asyncvarlink's description of that signature, which subclasses inherit.
"""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast

from asyncvarlink import VarlinkInterface, varlinkmethod, varlinksignature
from asyncvarlink.serviceinterface import MethodNotImplemented

_Declaration = TypeVar("_Declaration", bound=Callable[..., Any])

FINAL_FIELD = "result"
"""The reply of a stream that has this field set is its last one."""


def method(declaration: _Declaration) -> _Declaration:
    """Declare a method with one reply; without an implementation it answers ``MethodNotImplemented``."""

    @functools.wraps(declaration)
    async def unimplemented(*_: object, **__: object) -> object:
        return _refuse(declaration.__name__)

    return cast(_Declaration, varlinkmethod(unimplemented))


def stream(declaration: _Declaration) -> _Declaration:
    """Declare a method with several replies, the last of which has ``result`` set where the reply has that field.

    Declared as ``def Name(self, *, ...) -> AsyncIterator[Reply]``; implemented by an async generator.
    """

    @functools.wraps(declaration)
    async def unimplemented(*_: object, **__: object) -> AsyncIterator[object]:
        yield _refuse(declaration.__name__)

    return cast(_Declaration, varlinkmethod(unimplemented))


def _refuse(name: str) -> object:
    raise MethodNotImplemented(method=name)


class Contract(VarlinkInterface):
    """Base of the declarations; a subclass of a declaration implements it with plain methods."""

    name = "io.facelatch"

    def __init_subclass__(cls) -> None:
        """Pass the declared signatures on to the methods that implement them."""
        super().__init_subclass__()
        for name, member in vars(cls).items():
            declared = getattr(super(cls, cls), name, None)
            if declared is not None and varlinksignature(declared) and not varlinksignature(member):
                functools.update_wrapper(member, declared, assigned=())

    @classmethod
    def render_interface_description(cls, *, comments: bool = True) -> str:
        """Print the interface as declared, with enumerations written where they are used."""
        declaration = next(base for base in cls.__mro__ if issubclass(base, Contract) and "name" in vars(base))
        if declaration is not cls:
            return declaration.render_interface_description(comments=comments)
        return _inline_enumerations(super().render_interface_description(comments=comments))


def _inline_enumerations(description: str) -> str:
    """Undo the names that asyncvarlink gives to enumerations; the contract names only its structures."""
    lines = description.splitlines()
    enumerations = {
        found["name"]: found["words"]
        for line in lines
        if (found := re.fullmatch(r"type (?P<name>\w+) (?P<words>\([^:]+\))", line))
    }
    if not enumerations:
        return description
    reference = re.compile(rf"(?<=[ ?\]])({'|'.join(enumerations)})(?=[,)])")
    return "\n".join(
        line.rstrip() if line.startswith("#") else reference.sub(lambda use: enumerations[use[1]], line)
        for line in lines
        if not re.fullmatch(r"type \w+ \([^:]+\)", line)
    )
