"""Which of OpenBLAS's kernels PyTorch multiplies matrices with.

OpenBLAS goes by the processor's family and model. One that it does not know,
as a virtual machine's often is, gets kernels of twenty years ago, five times
slower than what the processor can do: no peer to be held to. So those that fit
the instruction sets are tried, and the fastest is chosen.
"""

import json
import os
import subprocess
import sys

CHOICE = 'OPENBLAS_CORETYPE'
_FOUND = 'QLARANK_BENCH_BLAS'  # from the process before to the one after
BY_ITSELF = 'by itself'
# None: what OpenBLAS chooses by itself.
KERNELS = (None, 'Haswell', 'SkylakeX', 'Cooperlake')
_MEASURE = '''
import time, torch
torch.set_num_threads(1)
a, b = torch.ones(1024, 128), torch.ones(128, 512)
best = 1e9
for _ in range(30):
    begin = time.process_time()
    a @ b
    best = min(best, time.process_time() - begin)
print(2e-9 * 1024 * 128 * 512 / best)
'''


def _measure(kernels):
    """GFLOP/s, or None where the processor lacks their instructions."""
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    environment.pop(CHOICE, None)
    if kernels:
        environment[CHOICE] = kernels
    result = subprocess.run([sys.executable, '-c', _MEASURE], env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True)
    return float(result.stdout) if result.returncode == 0 else None


def choose(measure=_measure):
    """The name of the fastest kernels, and {name: GFLOP/s} of all tried."""
    tried = {kernels or BY_ITSELF: measure(kernels) for kernels in KERNELS}
    found = {name: rate for name, rate in tried.items() if rate}
    return max(found, key=found.get), found


def environment(best, found):
    """What a process has to be started with to get these kernels: OpenBLAS
    looks when it is loaded, which NumPy does already."""
    chosen = {_FOUND: json.dumps(found)}
    return chosen if best == BY_ITSELF else {CHOICE: best, **chosen}


def ensure(arguments):
    """Starts this Python anew with `arguments` and the fastest kernels, unless
    it was started so already; does not return then."""
    if _FOUND not in os.environ:
        os.environ.update(environment(*choose()))
        os.execv(sys.executable, [sys.executable, *arguments])


def chosen():
    """(name of the kernels, {name: GFLOP/s}) of a process that ensure()
    started."""
    found = json.loads(os.environ.get(_FOUND, '{}'))
    return os.environ.get(CHOICE, BY_ITSELF), found
