"""The table functions of pandablocks, where words are text."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...protocol import columns_to_words, words_to_columns
from . import _convert
from .responses import TableFieldInfo

__all__ = ["UnpackedArray", "table_to_words", "words_to_table"]

UnpackedArray = npt.NDArray[np.uint8 | np.uint16 | np.int32 | np.uint32]


def table_to_words(table: Mapping[str, Any], table_field_info: TableFieldInfo) -> list[str]:
    """Pack the columns of a table into words.

    Raises:
        LocalProtocolError: a column is unknown, or its values are invalid
    """
    return [str(word) for word in columns_to_words(table, _convert.table_of(table_field_info)).tolist()]


def words_to_table(
    words: Iterable[str],
    table_field_info: TableFieldInfo,
    convert_enum_indices: bool = False,  # noqa: FBT001, FBT002 - signature of pandablocks
) -> dict[str, npt.NDArray[Any] | list[str]]:
    """Split the words of a table into columns; with `convert_enum_indices`, enums become lists of labels.

    Raises:
        LocalProtocolError: the words are not whole rows
    """
    numbers = np.array([int(word) for word in words], np.int64)
    columns = words_to_columns(numbers, _convert.table_of(table_field_info), labels=convert_enum_indices)
    return {name: values.tolist() if values.dtype.kind == "U" else values for name, values in columns.items()}
