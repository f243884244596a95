"""Memory that PyTorch gives back stays with the process."""

import subprocess
import sys

COUNT = '''
import resource, sys, torch
from trainer import processors
if sys.argv[1] == 'kept':
    processors.use_all('cpu')
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for step in range(20):
    if step == 10:
        before = faults()
    torch.ones(16 << 20).sum()  # 64 MB, which glibc maps anew each time.
print(faults() - before)
'''


def _faults(how):
    return int(subprocess.run([sys.executable, '-c', COUNT, how], check=True,
                              stdout=subprocess.PIPE, text=True).stdout)


def test_memory_that_is_given_back_is_not_zeroed_anew():
    assert _faults('kept') < .1 * _faults('plain')
