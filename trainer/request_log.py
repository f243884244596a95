"""Reads the request log of a server, docs/request_log.md.

request_log.binpb is the descriptor set of its records; when a .proto of it
changes, write it anew, in the repository's root
(tests/trainer/test_request_log.py tells when it was forgotten):

    protoc --proto_path=proto --include_imports \
        --descriptor_set_out=trainer/request_log.binpb \
        qlarank/v1/request_log.proto
"""

import pathlib

import xxhash

from trainer import message_classes

FILE = pathlib.Path(__file__).with_name('request_log.binpb')
LoggedRequest = message_classes.Classes(FILE).message(
    'qlarank.v1.LoggedRequest')

_CHECKSUM_BYTES = 8
_MAX_VARINT_BYTES = 9


def files(folder):
    """The files of a log, the oldest first; what is being written is the last.

    Raises ValueError where there is none.
    """
    folder = pathlib.Path(folder)
    found = [*folder.glob('requests-*.pb'), *folder.glob('requests-*.pb.part')]
    if not found:
        raise ValueError(f'{folder}: no requests-*.pb: not the folder of a '
                         'request log, or nothing was logged')
    return sorted(found, key=lambda path: _number(path.name))


def _number(name):
    number = name.split('.')[0].rpartition('-')[2]
    return int(number) if number.isdigit() else -1


def frames(path):
    """The records of a file as bytes, up to the last that is whole."""
    data = memoryview(pathlib.Path(path).read_bytes())
    at = 0
    while True:
        length, begin = _varint(data, at)
        end = begin + length + _CHECKSUM_BYTES
        if length < 0 or end > len(data):
            return
        record = data[begin:begin + length]
        checksum = int.from_bytes(data[begin + length:end], 'little')
        if xxhash.xxh64_intdigest(record) != checksum:
            return
        yield bytes(record)
        at = end


def _varint(data, at):
    """(value, place behind it); (-1, at) where there is none."""
    value = 0
    for place in range(at, min(at + _MAX_VARINT_BYTES, len(data))):
        value |= (data[place] & 0x7f) << 7 * (place - at)
        if data[place] < 0x80:
            return value, place + 1
    return -1, at


def read(folder):
    """The LoggedRequests of a log, in the order in which they were written."""
    for path in files(folder):
        for record in frames(path):
            yield LoggedRequest.FromString(record)
