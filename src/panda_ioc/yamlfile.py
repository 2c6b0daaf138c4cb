"""Reads YAML files into models, with error messages that give file and line."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml

from . import textfile
from .protocol import PandaError
from .validation import Checked, InvalidError, Location, validated

#: The C loader is ten times faster, but not available everywhere.
_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: The tag of the merge key `<<`.
_MERGE = "tag:yaml.org,2002:merge"

M = TypeVar("M", bound=Checked)


class YamlFileError(PandaError):
    """A file that cannot be read, is not YAML, or has invalid content; the message gives file and line."""


class _Loader(_FastLoader):  # type: ignore[misc]
    """A loader that reports where a value is invalid; PyYAML passes on plain errors of int() and date()."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - inherited
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
            problem = f"{node.value!r} is not a valid {node.tag.rpartition(':')[2]}: {error}"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark) from error


def load(
    path: Path, model: type[M], change: Callable[[Any], Any] = lambda content: content, *, strict: bool = True
) -> M:
    """Read and validate a file.

    Args:
        path: path of the file
        model: class to validate the content with
        change: converts the content before it is validated
        strict: whether numbers in text (as YAML reads 1e5) and numbers for booleans are refused

    Returns:
        the validated content

    Raises:
        YamlFileError: the file cannot be read or is invalid; the message has one line per problem
    """
    try:
        text = textfile.read(path)
        loader = _Loader(text)
        root = loader.get_single_node()
        for mapping in _mappings(root):
            _check_keys(loader, mapping)
        content = loader.construct_document(root) if root is not None else {}
    except OSError as error:
        raise YamlFileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise YamlFileError(f"{path}: not valid UTF-8 at byte {error.start}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlFileError(f"{path}:{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise YamlFileError(f"{path}: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise YamlFileError(f"{path}: nested too deeply") from error
    try:
        return validated(change(content), model, strict=strict)
    except InvalidError as error:
        raise YamlFileError(
            "\n".join(f"{path}:{_line(root, problem.where)}: {problem}" for problem in error.problems)
        ) from error


def _mappings(root: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    """Yield all mappings of a document, each once, even if several aliases refer to it."""
    seen: set[int] = set()
    left = [root] if root else []
    while left:
        node = left.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            left += [value for _, value in reversed(node.value)]
        else:
            left += reversed(node.value)


def _check_keys(loader: Any, mapping: yaml.MappingNode) -> None:
    """Refuse duplicate keys: YAML forbids them, but PyYAML accepts the last one.

    Raises:
        yaml.MarkedYAMLError: a key is a duplicate, or invalid
    """
    first: dict[Any, yaml.Node] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        before = first.setdefault(loader.construct_object(key), key)
        if before is not key:
            problem = f"duplicate key {key.value}, first in line {before.start_mark.line + 1}"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)


def _line(node: yaml.Node | None, location: Location) -> int:
    """Return the line of a location, or of the nearest enclosing node that exists."""
    line = node.start_mark.line + 1 if node else 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in reversed(node.value):  # merged keys come first, and have the lowest priority
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
