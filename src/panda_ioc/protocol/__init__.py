"""Sans-IO implementation of the PandA protocol.

`ControlConnection` encodes commands and decodes their responses; `DataConnection` decodes captured samples. Both
work on bytes: the caller owns the sockets. All other names are commands, data classes, functions and errors.
"""

from .acquisition import Data, EndData, EndReason, FieldCapture, FrameData, ReadyData, StartData
from .changes import QUEUED_LINES, ChangeGroup, Changes, ForgetChanges, GetChanges
from .commands import (
    Arm,
    Disarm,
    Get,
    GetLine,
    GetMultiline,
    Identify,
    Identity,
    Put,
    Raw,
)
from .connection import TRANSITIONS, ConnectionState, Transition
from .control import ControlConnection
from .data import DataConnection
from .errors import CommandError, LocalProtocolError, PandaError, RemoteProtocolError
from .exchange import Command, Conversation, Expected, Reply, Request
from .fields import (
    BitMuxFieldInfo,
    BitOutFieldInfo,
    BlockInfo,
    EnumFieldInfo,
    ExtOutBitsFieldInfo,
    ExtOutFieldInfo,
    FieldInfo,
    PosMuxFieldInfo,
    PosOutFieldInfo,
    ScalarFieldInfo,
    TableColumn,
    TableFieldInfo,
    TimeFieldInfo,
    UintFieldInfo,
)
from .introspection import GetBlockInfo, GetFieldInfo, GetMetadata, GetPcapBitsLabels
from .lines import LineBuffer
from .poll import COMPLETION, Poll, Polled
from .state import GetState, GetWholeState, SetState, State, StateError
from .tablecommands import Append, GetTable, PutTable, TableContent
from .tables import columns_to_words, words_to_columns

__all__ = [
    "COMPLETION",
    "QUEUED_LINES",
    "TRANSITIONS",
    "Append",
    "Arm",
    "BitMuxFieldInfo",
    "BitOutFieldInfo",
    "BlockInfo",
    "ChangeGroup",
    "Changes",
    "Command",
    "CommandError",
    "ConnectionState",
    "ControlConnection",
    "Conversation",
    "Data",
    "DataConnection",
    "Disarm",
    "EndData",
    "EndReason",
    "EnumFieldInfo",
    "Expected",
    "ExtOutBitsFieldInfo",
    "ExtOutFieldInfo",
    "FieldCapture",
    "FieldInfo",
    "ForgetChanges",
    "FrameData",
    "Get",
    "GetBlockInfo",
    "GetChanges",
    "GetFieldInfo",
    "GetLine",
    "GetMetadata",
    "GetMultiline",
    "GetPcapBitsLabels",
    "GetState",
    "GetTable",
    "GetWholeState",
    "Identify",
    "Identity",
    "LineBuffer",
    "LocalProtocolError",
    "PandaError",
    "Poll",
    "Polled",
    "PosMuxFieldInfo",
    "PosOutFieldInfo",
    "Put",
    "PutTable",
    "Raw",
    "ReadyData",
    "RemoteProtocolError",
    "Reply",
    "Request",
    "ScalarFieldInfo",
    "SetState",
    "StartData",
    "State",
    "StateError",
    "TableColumn",
    "TableContent",
    "TableFieldInfo",
    "TimeFieldInfo",
    "Transition",
    "UintFieldInfo",
    "columns_to_words",
    "words_to_columns",
]
