"""Plan the PVI (PV information) structures, which let clients such as ophyd-async discover all PVs.

`PREFIX:PVI` lists the groups: the blocks, and the IOC's own groups such as DATA. `PREFIX:GROUP:PVI` lists the PVs of a
group. The key of an entry is its access: r, w, rw, x (execute), or d for another PVI structure.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .names import name_problem
from .record import Access, Kind, Record, Table

#: A structure: each member is a structure, a list of structures, or text.
Tree = Mapping[str, Any]

#: Suffixes of companion records for text that does not fit into Channel Access; PVA clients do not need them.
_COMPANIONS = (":TEXT", ":DESCRIPTION", ":CHOICES")


@dataclass(frozen=True)
class Pvi:
    """The content of PVI.

    Attributes:
        groups: items of each group, in order; "" is the top level
        write_only: access of write-only fields, such as `INENC1:SETP`. pandablocks-ioc 0.11.6 lists them as "rw", so
            ophyd-async stores them with the settings; "w" keeps them out of stored settings.
    """

    groups: Mapping[str, Sequence[Record | Table]] = field(default_factory=dict)
    write_only: Access = Access.READ_WRITE


_NUMBERED = re.compile(r"(.*?[^0-9])([1-9][0-9]*)")


def planned_pvi(
    items: Collection[Record | Table],
    listed: Collection[str] | None = None,
    write_only: Access = Access.READ_WRITE,
) -> tuple[Pvi, list[str]]:
    """Plan the content of PVI.

    Args:
        items: all records and tables that are served
        listed: names of the items to list, without the prefix; None for all
        write_only: see `Pvi`

    Returns:
        the groups in alphabetical order, and a remark for each group whose structure cannot be served
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
    """Yield the records with the name and the description of each structure."""
    for group in pvi.groups:
        if group:
            yield Record(f"{group}:PVI_PV", Kind.TEXTIN, "Name of the PVI structure", constant=f"{prefix}:{group}:PVI")
            yield Record(_longest(group), Kind.TEXTIN, "Description of the PVI structure", constant=_description(group))


def pvi_trees(pvi: Pvi, prefix: str) -> dict[str, Tree]:
    """Return the structures by their names without the prefix."""
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
    """Return the entries of a group by member name: {access: PV name}."""
    entries: dict[str, dict[str, str]] = {}
    for item in pvi.groups.get(group, ()):
        letter = _access(item, pvi.write_only).value
        entries.setdefault(_member(item.name.removeprefix(f"{group}:")), {letter: f"{prefix}:{item.name}"})
    return entries


def _group_of(item: Record | Table) -> str:
    """Return the group of an item; "" for the top level."""
    return item.block or item.name.rpartition(":")[0].partition(":")[0]


def _longest(group: str) -> str:
    """Return the longest record name of a group's structure."""
    return f"{group}:PVI:DESCRIPTION"


def _access(item: Record | Table, write_only: Access) -> Access:
    if isinstance(item, Record) and item.staged:
        return Access.READ
    is_field = isinstance(item, Record) and item.target is not None
    return write_only if is_field and item.access is Access.WRITE else item.access


def _is_left_out(item: Record | Table) -> bool:
    """Return True for items that PVI never lists: rows of the buses, PVI itself, tables without fixed columns."""
    if isinstance(item, Table) and not item.columns:
        return True
    name = item.name.removeprefix(f"{_group_of(item)}:")
    return (name[0].isdigit() and not item.block) or name.startswith(("PVI_PV", "PVI:"))


def _is_companion(name: str, names: set[str]) -> bool:
    base, colon, last = name.rpartition(":")
    return colon + last in _COMPANIONS and base in names


def _member(name: str) -> str:
    """Return a name converted to a valid member name of a structure."""
    member = re.sub(r"\W", "_", name, flags=re.ASCII).lower()
    return f"_{member}" if member[0].isdigit() else member


def _in_lists(links: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the links with groups numbered 1 to n merged into lists that start with None."""
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
