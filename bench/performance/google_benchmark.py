"""Reads what a google-benchmark program measured."""

import re

# RankCandidates/2000/min_time:1.000 or RankCandidates/bf16/2000/...
_NAME = re.compile(r'(?P<family>\w+)(?:/(?P<precision>f32|bf16|int8))?'
                   r'(?:/(?P<argument>\d+))?(?:/\w+:[\d.]+)*$')
_UNITS = {'ns': 1e-9, 'us': 1e-6, 'ms': 1e-3, 's': 1.0}

PRECISIONS = ('f32', 'bf16', 'int8')


def parse(report):
    """{(family, precision, argument): {seconds, and the user counters}}.

    report: the JSON of --benchmark_format=json. A name without a precision is
    of f32; one without an argument has None. Repetitions: the median.
    """
    found = {}
    for run in report['benchmarks']:
        if run.get('error_occurred'):
            continue
        if run.get('run_type') == 'aggregate' and (
                run['aggregate_name'] != 'median'):
            continue
        match = _NAME.match(run.get('run_name', run['name']))
        if not match:
            continue
        argument = match['argument']
        key = (match['family'], match['precision'] or 'f32',
               int(argument) if argument else None)
        # An aggregate comes behind the single runs and replaces them.
        found[key] = {**_counters(run), 'seconds': run['cpu_time'] *
                      _UNITS[run['time_unit']]}
    return found


def _counters(run):
    own = {'iterations', 'real_time', 'cpu_time', 'threads', 'repetitions',
           'repetition_index', 'family_index', 'per_family_instance_index'}
    return {name: value for name, value in run.items()
            if isinstance(value, (int, float)) and name not in own}


def measure(context, pattern, repetitions=1, min_time=None):
    """Runs engine_bench on the benchmarks that a pattern matches."""
    arguments = [f'--benchmark_filter={pattern}', '--benchmark_format=json',
                 f'--benchmark_repetitions={repetitions}']
    if min_time is not None:
        arguments.append(f'--benchmark_min_time={min_time}')
    return parse(context.run_json('engine_bench', *arguments))
