"""PVI: structures by which a client finds everything, made from the plan.

`PREFIX:PVI` lists the groups (blocks, and what the IOC has beside them), `PREFIX:GROUP:PVI` the PVs of one. Each
entry says by a letter what can be done: r, w, rw, x for something to be done, d for another such structure.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .names import name_problem
from .record import Access, Kind, Record, Table

#: A structure: its members are structures, lists of structures, or texts.
Tree = Mapping[str, Any]

#: Records that hold what their record has no room for in Channel Access; over PVA it has.
_COMPANIONS = (":TEXT", ":DESCRIPTION", ":CHOICES")


@dataclass(frozen=True)
class PviRules:
    """What PVI lists, and how.

    Attributes:
        listed: names without the prefix; None for all
        write_only: letter of the fields that can be written and not read, such as `INENC1:SETP`. pandablocks-ioc 0.11.6
            has "rw" for them, so ophyd-async stores them with other settings; "w" keeps them out of stored settings.
    """

    listed: frozenset[str] | None = None
    write_only: Access = Access.READ_WRITE


_NUMBERED = re.compile(r"(.*?[^0-9])([1-9][0-9]*)")


def pvi_records(
    items: Sequence[Record | Table],
    prefix: str,
    rules: PviRules = PviRules(),  # noqa: B008 - immutable
) -> Iterator[Record]:
    """The records about each structure.

    Args:
        items: all that is served
        prefix: what all names begin with
        rules: what is listed, and how
    """
    for group in _groups(items, rules):
        if group:
            yield Record(f"{group}:PVI_PV", Kind.TEXTIN, "Name of the PVI of it", constant=f"{prefix}:{group}:PVI")
            yield Record(_longest(group), Kind.TEXTIN, "What the PVI is of", constant=_description(group))


def pvi_remarks(items: Iterable[Record | Table]) -> list[str]:
    """Why there is no structure of some groups."""
    problems = [name_problem(_longest(group)) for group in dict.fromkeys(map(_group_of, items))]
    return [problem for problem in problems if problem]


def pvi_trees(
    items: Sequence[Record | Table],
    prefix: str,
    rules: PviRules = PviRules(),  # noqa: B008 - immutable
) -> dict[str, Tree]:
    """The structures, by their names without the prefix.

    Args:
        items: all that is served
        prefix: what all names begin with
        rules: what is listed, and how
    """
    groups = _groups(items, rules)
    trees: dict[str, Tree] = {}
    for group, entries in groups.items():
        if group:
            value = {name: {letter: f"{prefix}:{pv}"} for name, (letter, pv) in entries.items()}
            trees[f"{group}:PVI"] = {"display": {"description": _description(group)}, "pvi": value, "value": value}
    own = {name: {letter: f"{prefix}:{pv}"} for name, (letter, pv) in groups.get("", {}).items()}
    links = {_member(group): {"d": f"{prefix}:{group}:PVI"} for group in groups if group}
    trees["PVI"] = {
        "display": {"description": "PVs making up the IOC"},
        "pvi": {**own, **links},
        "value": {**own, **_in_lists(links)},
    }
    return trees


def _groups(items: Iterable[Record | Table], rules: PviRules) -> dict[str, dict[str, tuple[str, str]]]:
    """The entries of each group by name: their letter and their PV, without the prefix."""
    items = list(items)
    names = {item.name for item in items}
    groups: dict[str, dict[str, tuple[str, str]]] = {}
    for item in items:
        group = _group_of(item)
        name = item.name.removeprefix(f"{group}:")
        if _is_left_out(item, name) or _is_companion(item.name, names):
            continue
        if rules.listed is not None and item.name not in rules.listed:
            continue
        groups.setdefault(group, {}).setdefault(_member(name), (_access(item, rules).value, item.name))
    return {group: entries for group, entries in sorted(groups.items()) if not name_problem(_longest(group))}


def _group_of(item: Record | Table) -> str:
    """The group that lists an item; "" for the top."""
    return item.block or item.name.rpartition(":")[0].partition(":")[0]


def _longest(group: str) -> str:
    """The longest name that goes with a group's structure."""
    return f"{group}:PVI:DESCRIPTION"


def _access(item: Record | Table, rules: PviRules) -> Access:
    if isinstance(item, Record) and item.staged:
        return Access.READ
    is_field = isinstance(item, Record) and item.target is not None
    return rules.write_only if is_field and item.access is Access.WRITE else item.access


def _is_left_out(item: Record | Table, name: str) -> bool:
    """Whether it is not listed: rows of the buses, this list itself, tables of which nobody knows the columns."""
    if isinstance(item, Table) and not item.columns:
        return True
    return (name[0].isdigit() and not item.block) or name.startswith(("PVI_PV", "PVI:"))


def _is_companion(name: str, names: set[str]) -> bool:
    base, colon, last = name.rpartition(":")
    return colon + last in _COMPANIONS and base in names


def _member(name: str) -> str:
    """A name as a member of a structure is called."""
    member = re.sub(r"\W", "_", name, flags=re.ASCII).lower()
    return f"_{member}" if member[0].isdigit() else member


def _in_lists(links: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Groups that are numbered from 1 without a gap as lists, which begin with an empty place."""
    numbered: dict[str, dict[int, Any]] = {}
    for name, link in links.items():
        if match := _NUMBERED.fullmatch(name):
            numbered.setdefault(match[1], {})[int(match[2])] = link
    lists: dict[str, Any] = {}
    for name, link in links.items():
        match = _NUMBERED.fullmatch(name)
        if match and match[1] not in links and set(numbered[match[1]]) == set(range(1, len(numbered[match[1]]) + 1)):
            members = numbered[match[1]]
            lists[match[1]] = [None, *(members[number] for number in sorted(members))]
        else:
            lists[name] = link
    return lists


def _description(group: str) -> str:
    return f"PVs making up Interface for {group}"
