# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.sbom FILE...``: a CycloneDX list of what is in a wheel or Debian package, beside each."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path

import click
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from facelatch.cli.options import told
from facelatch.l2fe.parameters import PINNED
from facelatch.models import manifest
from tools.sbom import contents, licences
from tools.sbom.contents import Contents
from tools.sbom.licences import Entry, LicenceError, Licences

LOCKS = Path(__file__).parents[2] / "requirements"
# The same file gives the same list: so its time is no time, and its number follows from its content.
_TIMELESS = datetime.fromtimestamp(0, tz=UTC)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@told
def main(files: tuple[Path, ...]) -> None:
    """List what is in wheels and Debian packages; fails where a licence is unknown or does not go with ours."""
    for path in files:
        target = path.with_name(f"{path.name}.cdx.json")
        target.write_text(document(path))
        click.echo(str(target))


def document(path: Path) -> str:
    """Return the list for one file, as CycloneDX 1.6.

    Raises:
        ContentsError: it is neither a wheel nor a Debian package.
        LicenceError: something in it, or that pip installs with it, may not ship.
    """
    found, listed = contents.of(path), licences.read()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, digest))
    bom.metadata.timestamp = _TIMELESS
    bom.metadata.component = _component(
        ComponentType.APPLICATION, found.name, found.version, Entry("Apache-2.0"), hashed=digest
    )
    parts = [*_packages(found, listed), *_libraries(found, listed), *_data(found, listed), *_debian(path, found)]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(bom.metadata.component, parts)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def locked(name: str = "runtime.txt") -> dict[str, tuple[str, tuple[str, ...]]]:
    """Read a lock: each package's versions, joined where they differ by Python, and all its hashes."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for entry in (LOCKS / name).read_text().replace("\\\n", " ").splitlines():
        match = re.match(r"([a-z0-9-]+)==(\S+)", entry)
        if match is not None:
            before, hashes = found.get(match[1], ("", ()))
            version = f"{before} or {match[2]}" if before else match[2]
            found[match[1]] = version, hashes + tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
    return found


def _packages(found: Contents, listed: Licences) -> list[Component]:
    """What is inside, and for a wheel what pip installs with it: the whole lock."""
    locks = [locked("runtime.txt"), locked("tflite-runtime.txt")]
    inside = found.packages
    versions = inside if inside else {name: version for name, (version, _) in locks[0].items()}
    parts = []
    for name, version in sorted(versions.items()):
        part = _component(ComponentType.LIBRARY, name, version, licences.entry_of(name, listed.packages), kind="pypi")
        for hashed in sorted(
            {one for lock in locks for one in lock.get(name, ("", ()))[1] if version in lock[name][0]}
        ):
            part.external_references.add(
                ExternalReference(
                    type=ExternalReferenceType.DISTRIBUTION,
                    url=XsUri(f"urn:sha256:{hashed}"),
                    comment="one of the wheels and archives that the lock allows",
                    hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashed)],
                )
            )
        parts.append(part)
    missing = [need for need in found.needs if not inside and need not in versions]
    if missing:
        raise LicenceError(f"{', '.join(missing)} is needed, and not locked", "run `make lock`")
    return parts


def _libraries(found: Contents, listed: Licences) -> list[Component]:
    parts = []
    for file, data in sorted(found.libraries.items()):
        name = licences.library_of(file, listed.libraries)
        version = file.partition(".so.")[2] or "unknown"
        hashed = hashlib.sha256(data).hexdigest()
        parts.append(_component(ComponentType.LIBRARY, name, version, listed.libraries[name], hashed=hashed, file=file))
    return parts


def _data(found: Contents, listed: Licences) -> list[Component]:
    parts, models = [], manifest().models
    for file, data in sorted(found.files.items()):
        hashed = hashlib.sha256(data).hexdigest()
        if file in models:
            source, entry = models[file].source, licences.entry_of(file, listed.models)
            pinned, version = models[file].sha256, f"{source.package} {source.version}"
            kind = ComponentType.MACHINE_LEARNING_MODEL
        elif Path(file).suffix == ".json" and Path(file).stem in PINNED:
            pinned, version, entry = PINNED[Path(file).stem], "1", Entry("Apache-2.0")
            kind = ComponentType.DATA
        else:
            raise LicenceError(f"{file} is in no manifest", "leave it out, or pin it")
        if hashed != pinned:
            raise LicenceError(f"{file} is not the one that is pinned", "build it again")
        parts.append(_component(kind, file, version, entry, hashed=hashed))
    return parts


def _debian(path: Path, found: Contents) -> list[Component]:
    """What the distribution gives; under its own licences, which go with it."""
    if path.suffix != ".deb":
        return []
    parts: dict[str, Component] = {}
    for need in found.needs:
        name, _, version = need.partition(" ")
        part = parts.setdefault(name, Component(type=ComponentType.LIBRARY, name=name, bom_ref=f"deb/{name}"))
        part.purl = PackageURL("deb", "debian", name)
        if version:
            part.properties.add(Property(name="facelatch:asked-for", value=version.strip("()")))
    return list(parts.values())


def _component(
    what: ComponentType, name: str, version: str, entry: Entry, *, kind: str = "", hashed: str = "", file: str = ""
) -> Component:
    part = Component(
        type=what,
        name=name,
        version=version,
        licenses=[LicenseExpression(entry.licence)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashed)] if hashed else [],
        purl=PackageURL(kind, None, name, version) if kind and " " not in version else None,
        bom_ref=f"{what.value}/{file or name}",
    )
    if entry.note:
        part.properties.add(Property(name="facelatch:licence-note", value=entry.note))
    if file:
        part.properties.add(Property(name="facelatch:file", value=file))
    return part


if __name__ == "__main__":
    main()
