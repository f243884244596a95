"""Where figures come from: what has to be known to make them again.

A training's metrics.json has it, and so has every result that is kept of it
(bench/quality). Apart from it, metrics.json says how many parameters the model
has and how many seconds it was trained.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import platform
import subprocess

_ROOT = pathlib.Path(__file__).resolve().parents[1]
# What decides what a training does.
_CODE = ('trainer', 'proto')
# Where the tree was copied, without .git or with that of another commit, whoever
# copied it says the commit, with + behind it when files differ:
#   QLARANK_COMMIT=$(git describe --always --exclude='*' --abbrev=40 --dirty=+)
VARIABLE = 'QLARANK_COMMIT'


def of(config, device, options=()):
    """What a training with a config.Config on a device leaves of itself.

    options: {name: value} of what is not in the config and changes what is
    trained, such as that nothing was validated.
    """
    import torch
    return {**commit(), 'config_digest': config_digest(config.to_dict()),
            'seed': config.training.seed, 'options': dict(options),
            'pytorch': torch.__version__, 'device': device_name(device),
            'date': now()}


def without_model(data):
    """The same for figures that are counted and not trained; data: the
    config.Data they are of."""
    return {**commit(), 'config_digest': config_digest(
        {'data': dataclasses.asdict(data)}),
            'seed': 0, 'options': {}, 'counted': True, 'pytorch': None,
            'device': device_name('cpu'), 'date': now()}


def config_digest(values):
    """SHA-256 of Config.to_dict() as canonical JSON. The seed is left out, so
    that all seeds of a configuration share it."""
    if 'training' in values:
        values = {**values, 'training': {
            name: value for name, value in values['training'].items()
            if name != 'seed'}}
    text = json.dumps(values, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode('utf-8')).hexdigest()


def commit(root=_ROOT, environment=os.environ):
    """{'commit', 'changed'}: changed when code of the trainer differs from the
    commit, new files included; None where nobody knows.

    Where VARIABLE says the commit, 'commit_given' is True; without that and
    without git it is 'unknown'.
    """
    def git(*arguments):
        return subprocess.run(
            ['git', '-C', str(root), *arguments], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, check=True).stdout.strip()
    given = environment.get(VARIABLE, '')
    if given:
        return {'commit': given.rstrip('+'), 'changed': given.endswith('+'),
                'commit_given': True}
    # A copy that lies within another repository is none of its commits.
    if (root / '.git').exists():
        try:
            return {'commit': git('rev-parse', 'HEAD'), 'changed': bool(
                git('status', '--porcelain', '--', *_CODE))}
        except (OSError, subprocess.CalledProcessError):
            pass
    return {'commit': 'unknown', 'changed': None}


def device_name(device):
    """As 'NVIDIA H100'; the processor's for a CPU."""
    if str(device).startswith('cuda'):
        import torch
        return torch.cuda.get_device_name(device)
    try:
        lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(':')
        if name.strip() == 'model name':
            return value.strip()
    return platform.processor() or platform.machine()


def now():
    """UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(
        timespec='seconds')
