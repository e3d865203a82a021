"""As much MessagePack as asking a broker for its figures takes, without a package to install."""

import socket
import struct


def packed(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        return bytes([value]) if 0 <= value < 128 else b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        data = value.encode()
        return b"\xd9" + bytes([len(data)]) + data
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(packed, value))
    if isinstance(value, dict):
        return b"\xde" + struct.pack(">H", len(value)) + b"".join(packed(k) + packed(v) for k, v in value.items())
    raise TypeError(f"cannot pack {type(value).__name__}")


def unpacked(data):
    value, rest = _value(data, 0)
    if rest != len(data):
        raise ValueError("bytes after the message")
    return value


_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"
}
_LENGTHS = {
    0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"
}


def _value(data, at):
    lead = data[at]
    at += 1
    if lead < 0x80:
        return lead, at
    if lead >= 0xE0:
        return lead - 256, at
    if lead in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[lead], at
    if lead in _NUMBERS:
        return struct.unpack_from(_NUMBERS[lead], data, at)[0], at + struct.calcsize(_NUMBERS[lead])
    if lead < 0x90:
        return _map(data, at, lead & 15)
    if lead < 0xA0:
        return _array(data, at, lead & 15)
    if lead < 0xC0:
        return data[at : at + (lead & 31)].decode(), at + (lead & 31)
    if lead not in _LENGTHS:
        raise ValueError(f"type {lead:#x} is not expected here")
    length = struct.unpack_from(_LENGTHS[lead], data, at)[0]
    at += struct.calcsize(_LENGTHS[lead])
    if lead >= 0xDE:
        return _map(data, at, length)
    if lead >= 0xDC:
        return _array(data, at, length)
    content = data[at : at + length]
    return (content.decode() if lead >= 0xD9 else content), at + length


def _array(data, at, length):
    values = []
    for _ in range(length):
        value, at = _value(data, at)
        values.append(value)
    return values, at


def _map(data, at, length):
    values, at = _array(data, at, 2 * length)
    return dict(zip(values[::2], values[1::2])), at


class Session:
    """A connection to a Nuvom broker that has said hello."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.requests = 0
        self.call("hello", {"version": 1, "name": "compare"})

    def send(self, method, params):
        self.requests += 1
        message = packed([0, self.requests, method, params])
        self.socket.sendall(struct.pack(">I", len(message)) + message)

    def call(self, method, params):
        self.send(method, params)
        message = unpacked(self.read_frame())
        if len(message) != 4 or message[2] is not None:
            raise RuntimeError(f"the broker answered {method} with {message}")
        return message[3]

    def read_frame(self):
        return self._read(struct.unpack(">I", self._read(4))[0])

    def _read(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise RuntimeError("the broker closed the connection")
            data += part
        return data

    def close(self):
        self.socket.close()
