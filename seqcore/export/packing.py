"""Write .tflite flatbuffers small: what is equal is in the file once.

An unrolled loop names the same shapes, options and tensors over and over. A
flatbuffer may point to one vector or table from several places, so each is written
when it is first met and pointed to after that.
"""

from __future__ import annotations

import functools
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"


class _SharingBuilder(flatbuffers.Builder):
    """A builder that hands out the earlier copy of an equal vector or table."""

    def __init__(self, size: int):
        super().__init__(size)
        self._written: dict[Any, int] = {}
        self._fields: list[tuple[int, Any, Any]] = []
        self._begin = self._first = 0
        self._points = False

    def _shared(self, key: Any, finish: Any) -> int:
        if key in self._written:
            # Nothing refers to the copy just written yet: take it back.
            self.nested = False
            self.current_vtable = self.vectorNumElems = None
            self.head = len(self.Bytes) - self._begin
            return self._written[key]
        self._written[key] = offset = finish()
        return offset

    def StartVector(self, elemSize, numElems, alignment):
        self._begin, self._points = self.Offset(), False
        self._alignment = max(alignment, elemSize)
        self._first = super().StartVector(elemSize, numElems, alignment)
        return self._first

    def EndVector(self, numElems=None):
        if self._points:  # Distances: equal bytes mean different things.
            return super().EndVector()
        content = bytes(self.Bytes[self.Head() : len(self.Bytes) - self._first])
        key = (self._alignment, self.vectorNumElems, content)
        return self._shared(key, super().EndVector)

    def PrependUOffsetTRelative(self, off):
        self._points = True
        super().PrependUOffsetTRelative(off)

    def StartObject(self, numfields):
        self._begin, self._fields = self.Offset(), []
        super().StartObject(numfields)

    def PrependSlot(self, flags, o, x, d):
        if x != d:
            # With its type: 1 and 1.0 are equal in Python, not in the file.
            self._fields.append((o, flags, x))
        super().PrependSlot(flags, o, x, d)

    def PrependUOffsetTRelativeSlot(self, o, x, d):
        if x != d:
            self._fields.append((o, None, x))
        super().PrependUOffsetTRelativeSlot(o, x, d)

    def EndObject(self):
        return self._shared(tuple(self._fields), super().EndObject)


def _pack_aligned(buffer: Any, builder: flatbuffers.Builder) -> int:
    """``BufferT.Pack`` with the 16-byte alignment that the schema demands.

    The generated Python packs bytes unaligned; runtimes map them as floats.
    """
    data = None
    if buffer.data is not None:
        raw = np.asarray(buffer.data, np.uint8).tobytes()
        builder.StartVector(1, len(raw), 16)
        builder.head = builder.Head() - len(raw)
        builder.Bytes[builder.Head() : builder.Head() + len(raw)] = raw
        data = builder.EndVector()
    schema.BufferStart(builder)
    if data is not None:
        schema.BufferAddData(builder, data)
    return schema.BufferEnd(builder)


def pack(model: Any) -> bytes:
    """The bytes of a parsed file."""
    for buffer in model.buffers:
        buffer.Pack = functools.partial(_pack_aligned, buffer)
    builder = _SharingBuilder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())
