"""Remove files that an IOC does not need from the environment of the image, and list the remaining packages.

    /venv/bin/python slim.py /venv/sbom.cdx.json

The build of the image runs this script. It removes

- packages that panda-ioc does not depend on: pip and build tools;
- filters of hdf5plugin that panda-ioc does not offer (174 of 184 MB), and their names from its list;
- tests, C headers and static libraries of packages.

The list is CycloneDX JSON with the Python packages. dpkg lists the Debian packages of the base image.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = "panda-ioc[compression,metrics]"
FILTERS = ("lz4", "zstd")

#: Packages with files for developers only.
_TRIMMED = ("epicscorelibs", "h5py", "numpy", "p4p", "pvxslibs", "softioc")


def needed(wanted: str = ROOT) -> dict[str, metadata.Distribution]:
    """Return a distribution and all its dependencies, by normalized name."""
    found: dict[str, metadata.Distribution] = {}
    asked: set[tuple[str, str]] = set()
    waiting = [Requirement(wanted)]
    while waiting:
        requirement = waiting.pop()
        name = _normalized(requirement.name)
        found[name] = metadata.distribution(name)
        for extra in {"", *requirement.extras}:
            if (name, extra) in asked:
                continue
            asked.add((name, extra))
            for text in found[name].requires or ():
                more = Requirement(text)
                if more.marker is None or more.marker.evaluate({"extra": extra}):
                    waiting.append(more)
    return found


def bill_of_materials(distributions: dict[str, metadata.Distribution]) -> dict[str, object]:
    """Return the list of installed packages in CycloneDX format."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "components": [
            {
                "type": "library",
                "name": name,
                "version": distribution.version,
                "purl": f"pkg:pypi/{name}@{distribution.version}",
                "licenses": [{"license": {"name": license_}} for license_ in _licenses(distribution)],
            }
            for name, distribution in sorted(distributions.items())
        ],
    }


def _licenses(distribution: metadata.Distribution) -> list[str]:
    about = distribution.metadata
    if expression := about.get("License-Expression"):
        return [expression]
    classified = [
        text.rpartition(" :: ")[2] for text in about.get_all("Classifier", []) if text.startswith("License ::")
    ]
    named = [text.splitlines()[0] for text in (about.get("License"),) if text]
    return classified or named or [f"see {file}" for file in about.get_all("License-File", [])]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _unneeded(kept: dict[str, metadata.Distribution]) -> Iterator[metadata.Distribution]:
    for distribution in metadata.distributions():
        if _normalized(distribution.name) not in kept:
            yield distribution


def _remove(distribution: metadata.Distribution) -> None:
    folders = set()
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file)))
        path.unlink(missing_ok=True)
        folders |= set(path.parents[: len(file.parts) - 1])
    for folder in sorted(folders, reverse=True):
        if folder.is_dir() and all(item.name == "__pycache__" for item in folder.iterdir()):
            shutil.rmtree(folder)


def _remove_filters(package: Path) -> None:
    for path in (package / "plugins").glob("libh5*.so"):
        if path.stem.removeprefix("libh5") not in FILTERS:
            path.unlink()
    config = package / "_config.py"
    text, changed = re.subn(r"('embedded_filters': )\([^)]*\)", rf"\g<1>{FILTERS}", config.read_text(encoding="utf-8"))
    if changed != 1:
        raise SystemExit(f"{config} has an unexpected format: adapt this script to the new version of hdf5plugin")
    config.write_text(text, encoding="utf-8")


def _remove_development_files(package: Path) -> None:
    for path in sorted(package.rglob("*")):
        if path.is_dir() and path.name in {"tests", "test", "include"}:
            shutil.rmtree(path)
        elif path.suffix == ".a":
            path.unlink()


def main(listing: Path) -> None:
    """Slim the environment of this interpreter and write the list of its packages."""
    kept = needed()
    listing.write_text(json.dumps(bill_of_materials(kept), indent=1), encoding="utf-8")
    places = {name: Path(str(kept[name].locate_file(name))) for name in (*_TRIMMED, "hdf5plugin")}
    for distribution in list(_unneeded(kept)):
        _remove(distribution)
    _remove_filters(places["hdf5plugin"])
    for name in _TRIMMED:
        _remove_development_files(places[name])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
