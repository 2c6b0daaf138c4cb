"""PVI: structures by which a client finds everything, made from the plan.

`PREFIX:PVI` lists the groups (blocks, and what the IOC has beside them), `PREFIX:GROUP:PVI` the PVs of one. Each
entry says by a letter what can be done: r, w, rw, x for something to be done, d for another such structure.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .names import name_problem
from .record import Access, Kind, Record, Table

#: A structure: its members are structures, lists of structures, or texts.
Tree = Mapping[str, Any]

#: Records that hold what their record has no room for in Channel Access; over PVA it has.
_COMPANIONS = (":TEXT", ":DESCRIPTION", ":CHOICES")


@dataclass(frozen=True)
class Pvi:
    """What PVI lists, and how.

    Attributes:
        groups: what each group lists, in order; "" is the top
        write_only: letter of the fields that can be written and not read, such as `INENC1:SETP`. pandablocks-ioc 0.11.6
            has "rw" for them, so ophyd-async stores them with other settings; "w" keeps them out of stored settings.
    """

    groups: Mapping[str, Sequence[Record | Table]] = field(default_factory=dict)
    write_only: Access = Access.READ_WRITE


_NUMBERED = re.compile(r"(.*?[^0-9])([1-9][0-9]*)")


def planned_pvi(
    items: Collection[Record | Table],
    listed: Collection[str] | None = None,
    write_only: Access = Access.READ_WRITE,
) -> tuple[Pvi, list[str]]:
    """Plan what PVI lists.

    Args:
        items: all that is served
        listed: the names of what is listed, without the prefix; None for all
        write_only: see `Pvi`

    Returns:
        the groups, in alphabetical order, and why there is no structure of others
    """
    names = {item.name for item in items}
    groups: dict[str, list[Record | Table]] = {}
    for item in items:
        of = groups.setdefault(_group_of(item), [])
        is_listed = listed is None or item.name in listed
        if is_listed and not _is_left_out(item) and not _is_companion(item.name, names):
            of.append(item)
    problems = [name_problem(_longest(group)) for group in groups]
    good = {group: of for group, of in sorted(groups.items()) if of and not name_problem(_longest(group))}
    return Pvi(good, write_only), [problem for problem in problems if problem]


def pvi_records(pvi: Pvi, prefix: str) -> Iterator[Record]:
    """The records about each structure; `prefix` is what all names begin with."""
    for group in pvi.groups:
        if group:
            yield Record(f"{group}:PVI_PV", Kind.TEXTIN, "Name of the PVI of it", constant=f"{prefix}:{group}:PVI")
            yield Record(_longest(group), Kind.TEXTIN, "What the PVI is of", constant=_description(group))


def pvi_trees(pvi: Pvi, prefix: str) -> dict[str, Tree]:
    """The structures, by their names without the prefix; `prefix` is what all names begin with."""
    trees: dict[str, Tree] = {}
    for group in pvi.groups:
        if group:
            value = _entries(pvi, group, prefix)
            trees[f"{group}:PVI"] = {"display": {"description": _description(group)}, "pvi": value, "value": value}
    own = _entries(pvi, "", prefix)
    links = {_member(group): {"d": f"{prefix}:{group}:PVI"} for group in pvi.groups if group}
    trees["PVI"] = {
        "display": {"description": "PVs making up the IOC"},
        "pvi": {**own, **links},
        "value": {**own, **_in_lists(links)},
    }
    return trees


def _entries(pvi: Pvi, group: str, prefix: str) -> dict[str, dict[str, str]]:
    """The entries of a group by name: their PV by the letter of what can be done with it."""
    entries: dict[str, dict[str, str]] = {}
    for item in pvi.groups.get(group, ()):
        letter = _access(item, pvi.write_only).value
        entries.setdefault(_member(item.name.removeprefix(f"{group}:")), {letter: f"{prefix}:{item.name}"})
    return entries


def _group_of(item: Record | Table) -> str:
    """The group that lists an item; "" for the top."""
    return item.block or item.name.rpartition(":")[0].partition(":")[0]


def _longest(group: str) -> str:
    """The longest name that goes with a group's structure."""
    return f"{group}:PVI:DESCRIPTION"


def _access(item: Record | Table, write_only: Access) -> Access:
    if isinstance(item, Record) and item.staged:
        return Access.READ
    is_field = isinstance(item, Record) and item.target is not None
    return write_only if is_field and item.access is Access.WRITE else item.access


def _is_left_out(item: Record | Table) -> bool:
    """Whether it is not listed: rows of the buses, this list itself, tables of which nobody knows the columns."""
    if isinstance(item, Table) and not item.columns:
        return True
    name = item.name.removeprefix(f"{_group_of(item)}:")
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
