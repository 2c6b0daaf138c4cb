"""Take out of the image's environment what no IOC needs, and list what is left; run while the image is built.

    /venv/bin/python slim.py /venv/sbom.cdx.json

It removes

- packages that panda-ioc does not depend on: pip and what builds wheels;
- filters of hdf5plugin that panda-ioc does not offer (174 of 184 MB), and their names from its list;
- tests, C headers and static libraries of packages.

The list is CycloneDX JSON. It has the Python packages; those of Debian are in the base image, where dpkg lists them.
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

#: Packages with files that are for developers alone.
_TRIMMED = ("epicscorelibs", "h5py", "numpy", "p4p", "pvxslibs", "softioc")


def needed(wanted: str = ROOT) -> dict[str, metadata.Distribution]:
    """Return all distributions that one needs, itself included, by their normalized names."""
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
    """Return what is installed, as CycloneDX has it."""
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
        raise SystemExit(f"{config} has another form than before: look at what hdf5plugin does now")
    config.write_text(text, encoding="utf-8")


def _remove_development_files(package: Path) -> None:
    for path in sorted(package.rglob("*")):
        if path.is_dir() and path.name in {"tests", "test", "include"}:
            shutil.rmtree(path)
        elif path.suffix == ".a":
            path.unlink()


def main(listing: Path) -> None:
    """Slim the environment of this interpreter."""
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
