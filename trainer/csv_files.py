"""The bytes of a CSV file, unpacked, by the rules of cli/input_file.h.

A file is compressed if it begins like one that is, whatever it is called.
"""

import bz2
import itertools
import lzma
import re
import zlib

_UNPACKERS = {
    rb'\x1f\x8b': ('gzip', lambda: zlib.decompressobj(wbits=31)),
    rb'BZh.1AY&SY': ('bzip2', bz2.BZ2Decompressor),
    rb'\xfd7zXZ\x00': ('xz', lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
}
_OTHER_FORMATS = {
    b'\x28\xb5\x2f\xfd': 'compressed by zstd: unpack it, or compress it by '
                         'gzip',
    b'PK\x03\x04': 'a zip archive or a spreadsheet: export it as CSV',
    b'\xff\xfe': 'UTF-16: write it as UTF-8',
    b'\xfe\xff': 'UTF-16: write it as UTF-8',
}
PIECE_BYTES = 1 << 20

_BEGINNING_BYTES = 16  # As many as a format is told by.
_BYTE_ORDER_MARK = b'\xef\xbb\xbf'  # Excel's "CSV UTF-8" starts with one.


def pieces(path):
    """The bytes of a file, a piece at a time.

    Raises ValueError naming it if it is no CSV; of a compressed file that is
    damaged, where the damage is.
    """
    try:
        with open(path, 'rb') as file:
            yield from _plain_pieces(path, iter(
                lambda: file.read(PIECE_BYTES), b''))
    except OSError as error:
        raise ValueError(f'cannot read {path}: {error.strerror}') from error


def _plain_pieces(path, packed):
    packed, first = _with_beginning(packed)
    name, make = _packed_by(first)
    data = packed
    if name:
        data, first = _with_beginning(_unpacked(path, packed, name, make))
        name, _ = _packed_by(first)
    what = (f'compressed by {name}: give the file by its name, or unpack it'
            if name else None)
    for beginning, other in _OTHER_FORMATS.items():
        if first.startswith(beginning):
            what = other
    if what:
        raise ValueError(f'{path}: not CSV, but {what}')
    yield next(data, b'').removeprefix(_BYTE_ORDER_MARK)
    yield from data


def _with_beginning(data):
    """(the same pieces, the first of them): long enough to tell a format."""
    first = b''
    for piece in data:
        first += piece
        if len(first) >= _BEGINNING_BYTES:
            break
    return itertools.chain([first], data), first


def _packed_by(data):
    """(name, unpacker) of what a file was packed by; (None, None) if it was
    not."""
    for beginning, packer in _UNPACKERS.items():
        if re.match(beginning, data, re.DOTALL):
            return packer
    return None, None


def _unpacked(path, packed, name, make):
    """Of one member after another; zeros may follow each."""
    unpacker = None
    try:
        for data in packed:
            while data:
                if unpacker is None:
                    data = data.lstrip(b'\0')
                    if not data:
                        break
                    unpacker = make()
                yield unpacker.decompress(data)
                if not unpacker.eof:
                    break
                data, unpacker = unpacker.unused_data, None
        if unpacker is not None:
            raise EOFError
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        raise ValueError(f'{path}: compressed by {name}, but cut short or '
                         'damaged: fetch or make it again') from None
