"""On what and of what a run was: so that its figures can be judged later."""

import datetime
import os
import pathlib
import platform
import re
import subprocess

# What a kernel is chosen by, and what a folder's name says for it.
FLAGS = {'avx2': 'avx2', 'avx_vnni': 'vnni', 'avx512f': 'avx512',
         'avx512_vnni': 'vnni', 'avx512_bf16': 'bf16', 'avx512_fp16': 'fp16',
         'amx_int8': 'amx', 'amx_bf16': 'amx', 'amx_tile': 'amx'}
# What runs write, of whichever page, does not make their commit another.
_WRITTEN = (':!bench/*/results', ':!docs', ':!README.md')


def processor(cpuinfo):
    """The processor's name, as /proc/cpuinfo has it."""
    return _field(cpuinfo, 'model name') or platform.processor()


def _field(cpuinfo, key):
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(':')
        if name.strip() == key:
            return value.strip()
    return ''


def commit():
    """{commit, commit_date, dirty}: dirty when files differ from the commit,
    unless runs write them; commit 'unknown' without git."""
    def git(*arguments):
        return subprocess.run(['git', *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True,
                              check=True).stdout.strip()
    try:
        changed = git('status', '--porcelain', '--untracked-files=no',
                      *_WRITTEN)
        return {'commit': git('rev-parse', '--short=10', 'HEAD'),
                'commit_date': git('show', '-s', '--format=%cI', 'HEAD'),
                'dirty': bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return {'commit': 'unknown', 'commit_date': None, 'dirty': False}


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(
        timespec='seconds')


def describe(cpuinfo=None):
    """{processor, instructions, family, model, stepping, processors,
    memory_gib, clock_mhz}; cpuinfo: the text of /proc/cpuinfo."""
    if cpuinfo is None:
        cpuinfo = pathlib.Path('/proc/cpuinfo').read_text()
    flags = _field(cpuinfo, 'flags').split()
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')

    def number(key, convert):
        text = _field(cpuinfo, key)
        return convert(text) if text else None
    return {'processor': processor(cpuinfo),
            'instructions': [flag for flag in FLAGS if flag in flags],
            'family': number('cpu family', int),
            'model': number('model', int),
            'stepping': number('stepping', int),
            'processors': os.cpu_count(),
            'memory_gib': round(memory / 2**30, 1),
            'clock_mhz': number('cpu MHz', float)}


def caches(cpu=pathlib.Path('/sys/devices/system/cpu/cpu0')):
    """{'L2': '1024K', ...} of one core, instructions' left out."""
    found = {}
    for index in sorted(cpu.glob('cache/index*')):
        level, kind, size = ((index / name).read_text().strip()
                             for name in ('level', 'type', 'size'))
        if kind != 'Instruction':
            found['L' + level] = size
    return found


def compiler(build):
    """As 'GNU 12.2.0', of the build folder; 'unknown' before it has one."""
    for path in pathlib.Path(build).glob(
            'CMakeFiles/*/CMakeCXXCompiler.cmake'):
        said = dict(re.findall(r'set\(CMAKE_CXX_COMPILER_(ID|VERSION) "(.+?)"',
                               path.read_text()))
        return f'{said["ID"]} {said["VERSION"]}'
    return 'unknown'


def short_instructions(machine):
    """What distinguishes it, as 'avx512-vnni-bf16'; 'baseline' below AVX2."""
    found = machine['instructions']
    names = dict.fromkeys(FLAGS[flag] for flag in FLAGS if flag in found)
    if 'avx512' in names:  # which has AVX2
        names.pop('avx2', None)
        names = {'avx512': None, **names}
    return '-'.join(names) or 'baseline'


def title(machine):
    """As 'AMD EPYC (avx512-vnni-bf16)'."""
    return f'{machine["processor"]} ({short_instructions(machine)})'


def folder_name(machine):
    """A folder for machines of this name and these instructions, such as
    amd-epyc--avx2. (Two machines may share it: see store.folder_of.)"""
    name = re.sub(r'\(.*?\)|\b(processor|cpu)\b', ' ',
                  machine['processor'].lower())
    name = re.sub('[^a-z0-9.]+', '-', name).strip('-') or 'unknown'
    return f'{name}--{short_instructions(machine)}'


def exact(machine):
    """What tells machines of one folder_name apart, or None where an old run
    did not say."""
    parts = [machine.get(key) for key in ('family', 'model', 'stepping')]
    return None if None in parts else (*parts, machine['processors'])


def may_be_one(machine, other):
    """Whether two of one folder_name may be the same kind of machine: they have
    the same instructions, of which a name has the short form (without a Zen 5's
    AVX-VNNI, for one), and as far as both say the same model and cores."""
    if machine['instructions'] != other['instructions']:
        return False
    own, others = exact(machine), exact(other)
    return None in (own, others) or own == others


def exact_folder_name(machine):
    """The name of one that must not share folder_name's."""
    own = exact(machine)
    said = own or (*machine['instructions'], machine['processors'])
    return f'{folder_name(machine)}--{"-".join(map(str, said))}-cores'
