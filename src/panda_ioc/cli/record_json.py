"""Records of a plan as JSON, for `panda-ioc records --json`."""

import dataclasses
from enum import Enum
from typing import Any

#: Names in the JSON that differ from those of classes (without "Codec") and attributes: programs read them.
_JSON_NAMES = {
    "Int": "Whole",
    "Float": "Real",
    "Action": "Trigger",
    "Arm": "ArmSwitch",
    "BlockLabel": "LabelText",
    "choices_record": "choices",
}


def _json_name(name: str) -> str:
    name = name.removesuffix("Codec") or name
    return _JSON_NAMES.get(name, name)


def record_as_json(record: Any) -> dict[str, Any]:
    """Return a record as a JSON object, without attributes at their default."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name == "codec":
            value = {"type": _json_name(type(value).__name__), **dataclasses.asdict(value)}
        if value != field.default or field.name == "description":
            plain[_json_name(field.name)] = value.value if isinstance(value, Enum) else value
    return plain
