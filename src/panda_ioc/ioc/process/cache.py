"""What a PandA had when it was last asked, kept on disk: so that its PVs exist while it is away."""

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

#: Every kind of field, by its name.
_KINDS: Mapping[str, type[FieldInfo]] = {
    name: kind for name, kind in vars(fields).items() if isinstance(kind, type) and issubclass(kind, FieldInfo)
}


def write(model: Model, path: Path) -> None:
    """Keep a model; that it cannot be is told in the log."""
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
        log.warning("what the PandA has cannot be kept in %s: %s", path, error.strerror)


def read(path: Path) -> Model | None:
    """The model that was kept; None if there is none, or none that makes sense."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != __version__:
            log.warning("%s is of version %s: not used", path, content["version"])
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # pydantic's own is a ValueError
        log.warning("%s makes no sense and is not used: %r", path, error)
        return None


def _field(info: FieldInfo) -> dict[str, Any]:
    return {"kind": type(info).__name__, **dataclasses.asdict(info)}


def _validated(kind: type[Any], content: Any) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - seldom needed, and slow to load

    return TypeAdapter(kind).validate_python(content)
