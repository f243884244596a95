"""On what and of what a run was: so that its figures can be judged later."""

import datetime
import os
import pathlib
import platform
import subprocess

FLAGS = ('avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_tile')


def processor():
    """The processor's name, as /proc/cpuinfo has it."""
    return _cpuinfo('model name') or platform.processor()


def _cpuinfo(key):
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
        name, _, value = line.partition(':')
        if name.strip() == key:
            return value.strip()
    return ''


def commit():
    """The commit, with "+" when tracked files differ from it."""
    def git(*arguments):
        return subprocess.run(['git', *arguments], stdout=subprocess.PIPE,
                              text=True, check=True).stdout.strip()
    try:
        changed = git('status', '--porcelain', '--untracked-files=no',
                      # What a run itself writes.
                      ':!bench/performance/results', ':!docs', ':!README.md')
        return git('rev-parse', '--short=10', 'HEAD') + ('+' if changed else '')
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def describe():
    """{date, commit, processor, processors, instructions, memory_gib}."""
    flags = _cpuinfo('flags').split()
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    now = datetime.datetime.now(datetime.timezone.utc)
    return {'date': now.isoformat(timespec='seconds'), 'commit': commit(),
            'processor': processor(), 'processors': os.cpu_count(),
            'instructions': [flag for flag in FLAGS if flag in flags],
            'memory_gib': round(memory / 2**30, 1)}
