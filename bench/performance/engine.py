"""The engine on one core, beside the peak of its matrix products."""

from bench.performance import figures, google_benchmark

# Shares of the measured peak of each precision, on the network's matrix work.
TARGETS = {'f32': .88, 'bf16': .78, 'int8': .60}
CANDIDATES = (1000, 2000, 4000)
PATTERN = '^RankCandidates'


def run(context):
    context.say('engine_bench: matrix products, then the engine')
    found = google_benchmark.measure(context, PATTERN, repetitions=3)
    return figures.Result(list(_figures(found)), {'times': _times(found)})


def _figures(found):
    for precision, target in TARGETS.items():
        rank = found.get(('RankCandidates', precision, 2000))
        yield figures.at_least(
            f'{precision}: share of the GEMM peak, 2,000 candidates',
            rank and rank.get('share_of_peak'), target, '', _missing(
                rank, precision))
        if rank:
            yield figures.plain(f'{precision}: 2,000 candidates, one core',
                                1e3 * rank['seconds'], 'ms')
            yield figures.plain(f'{precision}: GEMM peak, meanwhile',
                                rank.get('peak_gflops'), 'GFLOP/s')


def _missing(rank, precision):
    if rank is None:
        return f'engine_bench has no {precision} here'
    return '' if 'share_of_peak' in rank else 'no peak was measured'


def _times(found):
    """{precision: {candidates: ms, 'share': of the peak}}."""
    times = {}
    for precision in google_benchmark.PRECISIONS:
        runs = {n: found.get(('RankCandidates', precision, n))
                for n in CANDIDATES}
        if not any(runs.values()):
            continue
        times[precision] = {str(n): 1e3 * run_['seconds']
                            for n, run_ in runs.items() if run_}
        times[precision]['share'] = (runs[2000] or {}).get('share_of_peak')
    return times
