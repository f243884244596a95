"""Columns of any length, in memory or on disk: what is appended to, then read.

On disk every column is a .npy file, which is read as a map of it.
"""

import pathlib
import tempfile

import numpy as np


class InMemory:
    """Columns that are made of parts, as they are in memory."""

    def __init__(self):
        self._parts = {}

    def append(self, name, values):
        """Adds rows to a column: an array whose other sizes are the same."""
        self._parts.setdefault(name, []).append(values)

    def arrays(self):
        """{name: array} of all that was appended; to be called once."""
        return {name: np.concatenate(self._parts.pop(name))
                for name in list(self._parts)}


class OnDisk:
    """The same in a folder."""

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._columns = {}

    def append(self, name, values):
        values = np.ascontiguousarray(values)
        if name not in self._columns:
            self._columns[name] = _File(self._path(name), values)
        self._columns[name].append(values)

    def arrays(self):
        for column in self._columns.values():
            column.close()
        return {name: read(self._path(name)) for name in self._columns}

    def _path(self, name):
        return self._folder / f'{name}.npy'


class _File:
    """A .npy file whose first dimension is known in the end."""

    def __init__(self, path, values):
        self._file = open(path, 'wb')
        self._dtype, self._shape = values.dtype, values.shape[1:]
        self._rows = 0
        self._write_header()

    def append(self, values):
        values.tofile(self._file)
        self._rows += len(values)

    def close(self):
        self._file.seek(0)
        # NumPy leaves room in a header for a length of any digits.
        self._write_header()
        self._file.close()

    def _write_header(self):
        np.lib.format.write_array_header_1_0(self._file, {
            'descr': np.lib.format.dtype_to_descr(self._dtype),
            'fortran_order': False, 'shape': (self._rows, *self._shape)})


def write(path, array):
    """Writes an array as a .npy file."""
    np.save(path, array, allow_pickle=False)


def read(path):
    """A .npy file as a map of it, which nobody can write to."""
    return np.asarray(np.load(path, mmap_mode='r', allow_pickle=False))


def temporary_folder(beside):
    """A TemporaryDirectory on the disk that a path is on."""
    parent = pathlib.Path(beside).absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix='.prepare.', dir=parent)
