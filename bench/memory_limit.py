"""A limit to the memory of a process and of the file pages that it reads."""

import contextlib
import os
import pathlib
import time

_ROOT = pathlib.Path('/sys/fs/cgroup')


class Limit:
    """A control group of the kernel's, of either version; a context manager."""

    def __init__(self, size):
        """size: bytes. Raises RuntimeError where no group can be made."""
        # The second version has one tree, the first a tree for memory.
        first = _ROOT / 'memory'
        names = (('memory.limit_in_bytes', 'memory.usage_in_bytes')
                 if first.is_dir() else ('memory.max', 'memory.current'))
        parent = first if first.is_dir() else _ROOT
        self._folder = parent / f'qlarank-bench-{os.getpid()}'
        self._usage = self._folder / names[1]
        try:
            self._folder.mkdir()
            (self._folder / names[0]).write_text(str(size))
        except OSError as error:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
            raise RuntimeError(
                f'memory cannot be limited here: {error}') from error

    @property
    def command(self):
        """What is put before a command that is to be limited from its start:
        a page counts where it was first read."""
        return ('sh', '-c', f'echo $$ > {self._folder}/cgroup.procs && '
                'exec "$0" "$@"')

    @property
    def used(self):
        """Bytes, file pages among them."""
        return int(self._usage.read_text())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        """Once its processes have ended."""
        deadline = time.monotonic() + 10
        while True:
            try:
                self._folder.rmdir()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(.05)
