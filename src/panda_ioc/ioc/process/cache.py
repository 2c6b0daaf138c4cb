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
from ..plan.model import Block, Model

log = logging.getLogger(__name__)

#: All FieldInfo classes by name.
_KINDS: Mapping[str, type[FieldInfo]] = {
    name: kind for name, kind in vars(fields).items() if isinstance(kind, type) and issubclass(kind, FieldInfo)
}


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
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != __version__:
            log.warning("ignoring %s: it was written by version %s", path, content["version"])
            return None
        return Model(
            _validated(Identity, content["identity"]),
            {
                name: Block(
                    name,
                    _validated(BlockInfo, block["info"]),
                    {n: _validated(_KINDS[info.pop("kind")], info) for n, info in block["fields"].items()},
                )
                for name, block in content["blocks"].items()
            },
            _validated(Changes, content["changes"]),
            tuple(content["remarks"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # a ValidationError is a ValueError
        log.warning("ignoring %s: not a valid description of a PandA: %r", path, error)
        return None


def _field(info: FieldInfo) -> dict[str, Any]:
    return {"kind": type(info).__name__, **dataclasses.asdict(info)}


def _validated(kind: type[Any], content: Any) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - seldom needed and slow to import

    return TypeAdapter(kind).validate_python(content)
