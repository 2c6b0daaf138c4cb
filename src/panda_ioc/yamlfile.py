"""Read a YAML file into a pydantic model, with messages that name the file and the line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from .protocol import PandaError

#: The one in C is ten times as fast, and not everywhere.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

M = TypeVar("M", bound=BaseModel)

Location = tuple[int | str, ...]


class YamlFileError(PandaError):
    """A file that cannot be read, is not YAML, or does not say what it must; the message says where."""


def load(path: Path, model: type[M], change: Callable[[Any], Any] = lambda content: content) -> M:
    """Read and validate a file.

    Args:
        path: where it is
        model: what it must be
        change: is given what is in it, gives what is validated

    Raises:
        YamlFileError: with one line for each thing that is wrong
    """
    try:
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
        root = loader.get_single_node()
        content = loader.construct_document(root) if root is not None else {}
    except OSError as error:
        raise YamlFileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise YamlFileError(f"{path}: is not UTF-8 at byte {error.start}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlFileError(f"{path}:{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise YamlFileError(f"{path}: {error}") from error
    try:
        return model.model_validate(change(content))
    except ValidationError as error:
        problems = [(problem["loc"], problem["msg"]) for problem in error.errors(include_url=False)]
        raise YamlFileError(
            "\n".join(f"{path}:{_line(root, where)}: {'.'.join(map(str, where))}: {what}" for where, what in problems)
        ) from error


def _line(node: yaml.Node | None, location: Location) -> int:
    """The line of what a location means, or of the nearest thing around it that is there."""
    line = node.start_mark.line + 1 if node else 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line
    return line
