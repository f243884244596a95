"""The bytes of a CSV file, unpacked, by the rules of cli/input_file.h.

A file is compressed if it begins like one that is, whatever it is called.
"""

import bz2
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
_BYTE_ORDER_MARK = b'\xef\xbb\xbf'  # Excel's "CSV UTF-8" starts with one.


def read(path):
    """All bytes of a file. Raises ValueError naming it if it is no CSV."""
    try:
        with open(path, 'rb') as file:
            data = file.read()
    except OSError as error:
        raise ValueError(f'cannot read {path}: {error.strerror}') from error
    name, make = _packed_by(data)
    if name:
        data = _unpacked(path, data, name, make)
        name, _ = _packed_by(data)
    what = (f'compressed by {name}: give the file by its name, or unpack it'
            if name else None)
    for beginning, other in _OTHER_FORMATS.items():
        if data.startswith(beginning):
            what = other
    if what:
        raise ValueError(f'{path}: not CSV, but {what}')
    return data.removeprefix(_BYTE_ORDER_MARK)


def _packed_by(data):
    """(name, unpacker) of what a file was packed by; (None, None) if it was
    not."""
    for beginning, packer in _UNPACKERS.items():
        if re.match(beginning, data, re.DOTALL):
            return packer
    return None, None


def _unpacked(path, data, name, make):
    """Of one member after another; zeros may follow the last."""
    parts = []
    try:
        while data:
            unpacker = make()
            parts.append(unpacker.decompress(data))
            if not unpacker.eof:
                raise EOFError
            data = unpacker.unused_data.lstrip(b'\0')
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        raise ValueError(f'{path}: compressed by {name}, but cut short or '
                         'damaged: fetch or make it again') from None
    return b''.join(parts)
