"""A real server for a test: a free port, a folder of its own, a small model."""

import contextlib
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import local_server  # noqa: E402: found through ROOT

MODEL = 'dot_l2_decay_conv'
BUNDLE = ROOT / 'tests/golden' / MODEL / 'bundle'


def binary(name):
    """The path of one of our programs, which CMake passes in."""
    return os.environ[f'QLARANK_{name.upper()}_BINARY']


@contextlib.contextmanager
def serving(**sections):
    """sections: fields of the config's messages, as LocalServer takes them."""
    programs = local_server.Programs(binary('server'), binary('cli'))
    with tempfile.TemporaryDirectory() as folder, local_server.LocalServer(
            programs, BUNDLE, MODEL, 1, folder, **sections) as server:
        yield server
