"""Takes a sweep's results into the folder that pages are made from."""

import json
import shutil

from bench.quality import store
from trainer import provenance


def read_sweep(folder, only=()):
    """{run: {seed: Result}} of OUT/RUN/SEED/metrics.json.

    only: names to take, () for all. Raises ValueError, naming the file, for
    one without provenance or of another config than it says.
    """
    found = {}
    for path in sorted(folder.glob('*/*/metrics.json')):
        name = path.parts[-3]
        if only and name not in only:
            continue
        result = _result(path)
        seed = result.provenance['seed']
        if str(seed) != path.parts[-2]:
            raise ValueError(f'{path}: its seed is {seed}')
        found.setdefault(name, {})[seed] = result
    for name in only:
        if name not in found:
            raise ValueError(f'{folder}: no run is called {name!r}')
    if not found:
        raise ValueError(f'{folder}: no */*/metrics.json there')
    return found


def _result(path):
    values = json.loads(path.read_text(encoding='utf-8'))
    said = values.get('provenance')
    if said is None:
        raise ValueError(f'{path}: nothing says which commit it is of; it was '
                         'trained before metrics.json had `provenance`')
    config = values.get('config')
    if config and provenance.config_digest(config) != said['config_digest']:
        raise ValueError(f'{path}: its config is not that of config_digest')
    return store.Result(said, config, values.get('parameters'),
                        values.get('seconds'), values.get('metrics', {}),
                        values.get('test', {}))


def objections(runs):
    """Lines that say why runs {name: {seed: Result}} should not be kept."""
    lines = []
    for name, results in runs.items():
        for seed, result in results.items():
            said = result.provenance
            if said['commit'] == 'unknown':
                lines.append(f'{name}/{seed}: its commit is unknown')
            elif said['changed']:
                lines.append(f'{name}/{seed}: the code was not that of its '
                             'commit')
    return lines


def mixtures(runs):
    """Lines that say which runs are of several configurations, which no
    option of ours makes one."""
    return [f'{name}: its seeds are of several configurations'
            for name, results in runs.items()
            if len({_configuration(one) for one in results.values()}) > 1]


def _configuration(result):
    """What seeds of one configuration share; the length and the share of the
    start that --refit chose are each one's own."""
    options = result.provenance['options']
    digest = result.provenance['config_digest']
    if options.get('refit') and result.config:
        digest = provenance.config_digest({**result.config, 'training': {
            name: value for name, value in result.config['training'].items()
            if name not in ('steps', 'epochs', 'start_share')}})
    return digest, json.dumps(options, sort_keys=True)


def keep(runs, data_set, results=store.RESULTS):
    """Writes runs to their files, in place of what was kept of them; the
    paths."""
    paths = []
    for name, by_seed in runs.items():
        folder = results / data_set / name
        if folder.exists():
            shutil.rmtree(folder)
        for seed, result in sorted(by_seed.items()):
            paths.append(folder / f'{seed}.json')
            store.write(paths[-1], result)
    return paths
