# SPDX-License-Identifier: Apache-2.0
"""The lines in crypttab(5) and fstab(5) that open and mount the volume at boot."""

from __future__ import annotations

from pathlib import Path

from facelatch.provisioning.system import ProvisionError

MAPPING = "facelatch"
"""Name of the opened volume, in /dev/mapper."""

MOUNT_POINT = Path("/var/lib/facelatch")

# A boot waits for neither: without the volume the agent does not start, but the machine does, and passwords work.
_CRYPT_OPTIONS = "luks,nofail"
FSTAB_LINE = f"/dev/mapper/{MAPPING} {MOUNT_POINT} ext4 nodev,nosuid,noexec,noatime,nofail 0 2"


def crypttab_line(source: str, key: str, options: str = "") -> str:
    """Return the line of crypttab.

    Args:
        source: "UUID=..." or the path of a file.
        key: path of a key file, or "none".
        options: further ones, separated by commas.
    """
    return f"{MAPPING} {source} {key} {','.join(filter(None, (_CRYPT_OPTIONS, options)))}"


def with_line(text: str, line: str, field: int, path: Path) -> str:
    """Return a table with a line in it, at its end unless it is there already.

    Args:
        text: of the table.
        line: to be in it.
        field: which of its fields names what it is about.
        path: of the table, for the message.

    Raises:
        ProvisionError: another line is about the same thing; it is somebody else's to change.
    """
    wanted, entered = line.split(), False
    # Not splitlines(), which also ends lines where these tables do not.
    for present in text.split("\n"):
        fields = present.split()
        if not fields or fields[0].startswith("#") or len(fields) <= field or fields[field] != wanted[field]:
            continue
        if fields != wanted:
            raise ProvisionError(
                f"{path} has another line about {wanted[field]} ({present.strip()})", f"remove it, or make it `{line}`"
            )
        entered = True
    if entered:
        return text
    end = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{end}{line}\n"
