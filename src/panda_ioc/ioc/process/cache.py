"""The cached description of the PandA on disk, from which the IOC serves PVs while the PandA is unreachable."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ... import __version__, textfile
from ...opening import opened
from ...protocol import BlockInfo, Changes, FieldInfo, Identity, fields
from ...validation import validated
from ..plan.model import Block, Model

log = logging.getLogger(__name__)

#: All FieldInfo classes by name.
_KINDS: Mapping[str, type[FieldInfo]] = {
    name: kind for name, kind in vars(fields).items() if isinstance(kind, type) and issubclass(kind, FieldInfo)
}

#: Errors of a file with invalid content; an InvalidError is a ValueError.
_INVALID = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def write(model: Model, path: Path) -> None:
    """Write a model to a file; on failure, log a warning."""
    content = {
        "version": __version__,
        "identity": dataclasses.asdict(model.identity),
        "blocks": {
            name: {"info": dataclasses.asdict(block.info), "fields": {n: _field(i) for n, i in block.fields.items()}}
            for name, block in model.blocks.items()
        },
        "changes": dataclasses.asdict(model.changes),
        "remarks": model.remarks,
    }
    try:
        opened(textfile.replace, path, json.dumps(content))
    except OSError as error:
        log.warning("cannot write the cached description of the PandA to %s: %s", path, error.strerror)


def read(path: Path) -> Model | None:
    """Return the model from a file; return None if the file is missing, invalid or from another version."""
    try:
        content = json.loads(textfile.read(path))
        if content["version"] != __version__:
            log.warning("ignoring %s: it was written by version %s", path, content["version"])
            return None
        return Model(
            validated(content["identity"], Identity),
            {
                name: Block(
                    name,
                    validated(block["info"], BlockInfo),
                    {n: validated(info, _KINDS[info.pop("kind")]) for n, info in block["fields"].items()},
                )
                for name, block in content["blocks"].items()
            },
            validated(content["changes"], Changes),
            tuple(content["remarks"]),
        )
    except FileNotFoundError:
        return None
    except _INVALID as error:
        log.warning("ignoring %s: not a valid description of a PandA: %r", path, error)
        return None


def _field(info: FieldInfo) -> dict[str, Any]:
    return {"kind": type(info).__name__, **dataclasses.asdict(info)}
