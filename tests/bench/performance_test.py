"""The benchmark's verdicts, tables and files say what was measured."""

import contextlib
import importlib.util
import io
import math
import os
import pathlib
import re
import sys
import tempfile
import types
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from bench.peers import blas, forms  # noqa: E402
from bench.performance import __main__ as bench_main  # noqa: E402
from bench.performance import engine, figures, google_benchmark  # noqa: E402
from bench.performance import load, rpc  # noqa: E402
from bench.performance import machine as machine_lib  # noqa: E402
from bench.performance import memory, pages, peers, rebuild  # noqa: E402
from bench.performance import report, rows, store  # noqa: E402



def machine(**changes):
    return {'processor': 'Some CPU', 'instructions': ['avx2'], 'family': 25,
            'model': 1, 'stepping': 1, 'processors': 2, 'memory_gib': 8.0,
            'clock_mhz': 2000.0, **changes}


def run_of(commit, *measured, section='rpc', date='2026-01-02T03:04:05+00:00',
           commit_date='2026-01-01T00:00:00+00:00', **more):
    """A run of one section with these figures."""
    return store.Run(**{
        'date': date, 'commit': commit, 'dirty': False, 'machine': machine(),
        'asked': [section], 'commit_date': commit_date,
        'sections': {section: store.Section(list(measured), {'d': [1]}, 1.5)},
        **more})


def at(day, value, commit='abc', **more):
    """A run on a day of what shall be 10 ms or less."""
    return run_of(commit, figures.at_most('x', value, 10, 'ms'),
                  date=f'2026-01-{day:02d}T00:00:00+00:00', **more)


def row_of(*runs):
    (row,) = rows.of(sorted(runs, key=lambda run: run.age))
    return row


class FiguresTest(unittest.TestCase):

    def test_a_bound_is_met_on_the_right_side_of_it_only(self):
        for judge, value, met in [
                (figures.at_least, 1.6, True), (figures.at_least, 1.59, False),
                (figures.at_most, 1.6, True), (figures.at_most, 1.61, False),
                (figures.below, 1.59, True), (figures.below, 1.6, False),
                (figures.at_most, math.nan, False),
                (figures.at_least, math.nan, False)]:
            with self.subTest(judge=judge.__name__, value=value):
                figure = judge('x', value, 1.6)
                self.assertIs(figure.holds(figure.margin), met)

    def test_a_range_has_two_sides(self):
        for value, met in [(.96, False), (.97, True), (1.03, True),
                           (1.04, False)]:
            figure = figures.within('x', value, .97, 1.03)
            self.assertIs(figure.holds(figure.margin), met)

    def test_what_was_not_measured_is_not_met(self):
        row = row_of(run_of('abc', figures.at_least('x', None, 1)))
        self.assertEqual(row.verdict, 'NOT MEASURED')
        self.assertIn('0 of 1 targets met', report.summary(
            {'s': store.Section([figures.at_least('x', None, 1)])}))

    def test_a_miss_is_named(self):
        text = report.summary({'s': store.Section([
            figures.at_most('slow', 2, 1), figures.at_most('fast', 1, 1),
            figures.plain('size', 5)])})
        self.assertIn('1 of 2 targets met', text)
        self.assertIn('s: slow', text)
        self.assertNotIn('fast', text)

    def test_numbers_keep_three_digits(self):
        self.assertEqual([figures.number(value) for value in
                          (None, 0.2561, 1, 1.028, 13.71, 199_999.6)],
                         ['-', '0.256', '1.00', '1.03', '13.7', '200,000'])


class GoogleBenchmarkTest(unittest.TestCase):

    def run_named(self, name, time, **more):
        return {'name': name, 'run_name': name, 'run_type': 'iteration',
                'cpu_time': time, 'real_time': time, 'time_unit': 'ms',
                'iterations': 3, **more}

    def test_names_with_and_without_precision(self):
        found = google_benchmark.parse({'benchmarks': [
            self.run_named('RankCandidates/2000/min_time:1.000', 16.0,
                           share_of_peak=.84),
            self.run_named('RankCandidates/bf16/2000', 8.0),
            self.run_named('Share/int8/iterations:1', 1.0, gflops=450.0)]})
        self.assertEqual(found, {
            ('RankCandidates', 'f32', 2000): {'seconds': .016,
                                              'share_of_peak': .84},
            ('RankCandidates', 'bf16', 2000): {'seconds': .008},
            ('Share', 'int8', None): {'seconds': .001, 'gflops': 450.0}})

    def test_names_without_any_argument(self):
        found = google_benchmark.parse({'benchmarks': [
            self.run_named('LoneFold/iterations:1/repeats:3', 1.0, us=10.0)]})
        self.assertEqual(found[('LoneFold', 'f32', None)]['us'], 10)

    def test_of_repetitions_the_median_counts(self):
        runs = [self.run_named('A/1', time) for time in (1.0, 9.0, 2.0)]
        for name, time in (('mean', 4.0), ('median', 2.0), ('stddev', 3.0)):
            runs.append({**self.run_named('A/1', time),
                         'run_type': 'aggregate', 'aggregate_name': name})
        found = google_benchmark.parse({'benchmarks': runs})
        self.assertEqual(found[('A', 'f32', 1)]['seconds'], .002)

    def test_a_run_that_failed_is_left_out(self):
        self.assertEqual(google_benchmark.parse({'benchmarks': [
            self.run_named('A/1', 1.0, error_occurred=True)]}), {})


class RowsTest(unittest.TestCase):

    def test_the_median_counts_neither_the_newest_nor_the_best(self):
        row = row_of(at(1, 12), at(2, 9), at(3, 8), at(4, 30), at(5, 11))
        self.assertEqual(row.figure.value, 11)
        self.assertEqual(row.values, (12, 9, 8, 30, 11))
        self.assertIs(row.met, False)
        self.assertEqual(report.spread(row), '8.00 to 30.0')

    def test_the_newest_commit_that_measured_it_is_the_window(self):
        later = {'commit_date': '2026-01-02T00:00:00+00:00'}
        # An older commit that is measured later is still older.
        row = row_of(at(9, 1, 'old'), at(2, 5, 'new', **later))
        self.assertEqual((row.code, row.figure.value), ('new', 5))
        # One that could not measure it has no figure.
        row = row_of(at(1, 1, 'old'), at(2, None, 'new', **later))
        self.assertEqual((row.code, row.figure.value), ('old', 1))

    def test_changed_files_count_only_without_a_clean_run(self):
        later = {'commit_date': '2026-01-02T00:00:00+00:00', 'dirty': True}
        self.assertEqual(row_of(at(1, 1, 'old'), at(2, 5, 'new', **later)).code,
                         'old')
        self.assertEqual(row_of(at(2, 5, 'new', **later)).code, 'new+')

    def test_what_must_hold_in_every_run_is_not_judged_by_the_median(self):
        def errors(day, count):
            return run_of('abc', figures.at_most('errors', count, 0,
                                                 every=True),
                          date=f'2026-01-{day:02d}T00:00:00+00:00')
        self.assertIs(row_of(errors(1, 0), errors(2, 0)).met, True)
        self.assertIs(row_of(errors(1, 0), errors(2, 7), errors(3, 0)).met,
                      False)

    def test_a_ratio_is_not_met_by_a_base_that_got_worse(self):
        def verdicts(p50, p99):
            run = run_of('abc', figures.at_most('p50', p50, 20),
                         figures.below('ratio', p99 / p50, 4, needs=('p50',)))
            return [row.met for row in rows.of([run])]
        self.assertEqual(verdicts(10, 30), [True, True])
        self.assertEqual(verdicts(10, 50), [True, False])
        # 3.1 s at the median, and hardly more at the 99th percentile.
        self.assertEqual(verdicts(3100, 3200), [False, False])

    def test_what_it_needs_and_was_not_measured_is_not_met(self):
        row = row_of(run_of('abc', figures.at_most('x', 1, 2,
                                                   needs=('gone',))))
        self.assertIs(row.met, False)

    def test_limits_that_follow_from_the_run_are_judged_run_by_run(self):
        runs = [run_of('abc', figures.at_most('x', value, bound),
                       date=f'2026-01-0{day}T00:00:00+00:00')
                for day, (value, bound) in enumerate(
                    [(10, 9), (20, 25), (30, 29)], 1)]
        # Beside the median's own limit it would be met.
        self.assertIs(row_of(*runs).met, False)

    def test_a_plot_shows_the_run_that_is_nearest_to_the_medians(self):
        runs = [at(1, 12), at(2, 9), at(3, 30)]
        self.assertIs(rows.representative(runs, 'rpc'), runs[0])
        runs[0].sections['rpc'].data = {}
        self.assertIsNot(rows.representative(runs, 'rpc'), runs[0])
        self.assertIsNone(rows.representative(runs, 'load'))


class PagesTest(unittest.TestCase):

    def test_a_table_goes_between_the_markers_and_nowhere_else(self):
        page = f'before\n{pages.BEGIN}\nold\n{pages.END}\nafter\n'
        text = pages.into_page(page, 'new')
        self.assertEqual(text, f'before\n{pages.BEGIN}\n\nnew\n\n'
                               f'{pages.END}\nafter\n')
        self.assertEqual(pages.into_page(text, 'new'), text)

    def test_a_page_without_markers_is_refused(self):
        with self.assertRaisesRegex(ValueError, 'figures: begin'):
            pages.into_page('page', 'table')

    def test_a_sentence_quotes_the_median(self):
        machines = {'cpu': [at(1, 12), at(2, 9.04), at(3, 8)]}
        text = ('It takes <!-- figure cpu/rpc/x -->7 s<!-- /figure -->, or '
                '<!-- figure cpu/rpc/x | spread --><!-- /figure -->, <!-- '
                'figure cpu/rpc/x | bare -->1<!-- /figure -->.')
        quoted = pages.quote(text, machines)
        self.assertEqual(re.sub('<!--.*?-->', '', quoted),
                         'It takes 9.04 ms, or 9.04 ms (8.00 to 12.0), 9.04.')
        self.assertEqual(pages.quote(quoted, machines), quoted)

    def test_what_no_run_measured_cannot_be_quoted(self):
        for name in ('cpu/rpc/y', 'cpu/load/x', 'other/rpc/x'):
            with self.assertRaisesRegex(ValueError, name):
                pages.quote(f'<!-- figure {name} -->7<!-- /figure -->',
                            {'cpu': [at(1, 12)]})

    def test_the_headline_has_judged_figures_only(self):
        other = machine(processor='Other(R)')
        text = report.headline({
            'a': [run_of('abc', figures.at_most('x', 2, 1),
                         figures.plain('y', 3))],
            'b': [run_of('def', figures.at_most('x', 1, 1),
                         figures.at_least('z', None, 1), machine=other,
                         complete=True,
                         commit_date='2026-01-02T00:00:00+00:00')]})
        self.assertEqual(text.splitlines(), [
            '| | Some CPU (avx2) | Other(R) (avx2) | target |',
            '|---|---:|---:|---:|',
            '| *commit, runs* | *abc, 1 run, 0 complete* | '
            '*def, 1 run, 1 complete* | |',
            '| rpc: x | **2.00** | 1.00 | <= 1.00 |',
            '| rpc: z | - | - | >= 1.00 |'])

    def test_machines_of_one_name_are_told_apart(self):
        machines = {'a': [at(1, 5, machine=machine(model=None))],
                    'b': [at(1, 5, machine=machine(model=8))],
                    'c': [at(1, 5, machine=machine(processor='Other'))]}
        titles = ['Some CPU (avx2), family and model not recorded, 2 cores',
                  'Some CPU (avx2), family 25, model 8, stepping 1, 2 cores',
                  'Other (avx2)']
        self.assertEqual(report.headline(machines).splitlines()[0],
                         f'| | {" | ".join(titles)} | target |')
        self.assertEqual(re.findall('### (.*)', report.markdown(machines)),
                         titles)

    def test_a_cell_of_another_commit_says_so(self):
        text = report.headline({'a': [
            at(1, 5, 'old', complete=True, section='load'),
            at(2, 12, 'new', commit_date='2026-02-01T00:00:00+00:00')]})
        self.assertIn('*old, 1 run, 1 complete*', text)
        self.assertIn('| rpc: x | **12.0 ms** [1] | <= 10.0 |', text)
        self.assertTrue(text.endswith('[1] new, 1 run.'))

    def test_every_commit_has_a_table_that_says_of_which_runs_it_is(self):
        text = report.markdown({'a': [
            run_of('abc', figures.at_most('x', 2, 1, 'ms', 'p|q')),
            run_of('def', figures.plain('y', 3), section='load',
                   complete=True, commit_date='2026-01-02T00:00:00+00:00'),
            run_of('def', figures.plain('y', 5), section='load',
                   date='2026-01-03T03:04:05+00:00',
                   commit_date='2026-01-02T00:00:00+00:00')]})
        self.assertIn('family 25, model 1, stepping 1', text)
        self.assertEqual(text.count('| figure |'), 2)
        self.assertIn('| `rpc` | x | 2.00 ms |  | 1, partial | <= 1.00 | '
                      '**NOT met** | p/q |', text)
        self.assertIn('| `load` | y | 4.00 | 3.00 to 5.00 | 2 |', text)
        self.assertIn('Commit abc, 1 run, 2026-01-02 (1 only some sections)',
                      text)
        self.assertIn('Commit def, 2 runs, 2026-01-02 to 2026-01-03 (1 '
                      'measured every section in one run, 1 only some '
                      'sections)', text)
        self.assertLess(text.index('Commit def'), text.index('Commit abc'))


class StoreTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, run):
        path = store.path_of(self.folder, run)
        store.write(path, run)
        return path

    def test_what_was_written_is_read(self):
        run = run_of('abc', figures.at_least('x', 2.0, 1.0, 's', 'note',
                                             every=True, needs=('y',)),
                     figures.at_least('y', None, 1.0), before={'load': [1]})
        self.write(run)
        self.assertEqual(store.read_all(self.folder),
                         {'some--avx2': [run]})

    def test_every_run_is_kept(self):
        runs = [at(1, 5), at(2, 6), at(3, 7, dirty=True)]
        paths = {self.write(run) for run in runs}
        self.assertEqual(len(paths), 3)
        self.assertEqual(store.read_all(self.folder)['some--avx2'],
                         sorted(runs, key=lambda run: run.age))

    def test_two_processors_of_one_name_do_not_share_a_folder(self):
        name = 'AMD EPYC'
        older = at(1, 5, machine=machine(processor=name))
        newer = at(1, 6, machine=machine(
            processor=name, instructions=['avx2', 'avx512f', 'avx512_vnni',
                                          'avx512_bf16'], model=17))
        self.assertEqual([self.write(run).parts[-3] for run in (older, newer)],
                         ['amd-epyc--avx2', 'amd-epyc--avx512-vnni-bf16'])
        # Nor do two that differ in nothing but their model or cores.
        for changes in ({'model': 8}, {'processors': 8}):
            other = at(2, 7, machine=machine(processor=name, **changes))
            self.assertRegex(self.write(other).parts[-3],
                             r'amd-epyc--avx2--25-\d-1-\d-cores')
        self.assertEqual(len(store.read_all(self.folder)), 4)

    def test_nor_do_two_whose_name_has_not_all_of_their_instructions(self):
        """A Zen 5 has AVX-VNNI as well; of the Zen 4 that is known here no run
        said which model it was."""
        zen4 = ['avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16']
        zen5 = ['avx2', 'avx_vnni', *zen4[1:]]
        name = 'amd-epyc--avx512-vnni-bf16'
        folders = [self.write(at(day, 5, machine=machine(
            processor='AMD EPYC', instructions=instructions, **more))).parts[-3]
            for day, instructions, more in [
                (1, zen4, {'model': None}), (2, zen5, {'family': 26}),
                (3, zen4, {'model': 17}), (4, zen5, {'family': 26}),
                (5, zen4, {'model': None}), (6, zen4, {'model': 18}),
                (7, zen5, {'model': None})]]
        self.assertEqual(folders, [
            name, f'{name}--26-1-1-2-cores', name, f'{name}--26-1-1-2-cores',
            name, f'{name}--25-18-1-2-cores',
            f'{name}--avx2-avx_vnni-avx512f-avx512_vnni-avx512_bf16-2-cores'])

    def test_amx_is_another_machine(self):
        without = ['avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16']
        amx = [*without, 'amx_int8', 'amx_bf16', 'amx_tile']
        folders = [self.write(at(day, 5, machine=machine(
            processor='Intel(R) Xeon(R) Processor', model=207,
            instructions=instructions))).parts[-3]
            for day, instructions in ((1, without), (2, amx))]
        self.assertEqual(folders, ['intel-xeon--avx512-vnni-bf16',
                                   'intel-xeon--avx512-vnni-bf16-amx'])

    def test_a_partial_run_says_so_in_its_name(self):
        self.assertEqual(self.write(at(1, 5)).name,
                         '20260101T000000-abc-rpc.json')
        self.assertEqual(self.write(at(1, 5, complete=True)).name,
                         '20260101T000000-abc.json')

    def test_a_file_that_is_no_run_is_named(self):
        path = self.write(at(1, 5))
        for text in ('{}', 'x', '{"format": 2}'):
            path.write_text(text)
            with self.assertRaisesRegex(ValueError, path.name):
                store.read_all(self.folder)


class MachineTest(unittest.TestCase):

    CPUINFO = ('processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\n'
               'model name\t: AMD EPYC\nstepping\t: 1\ncpu MHz\t\t: 2445.4\n'
               'flags\t\t: fpu avx2 avx512f avx512_vnni avx512_bf16\n')

    def test_it_is_told_by_name_and_instruction_sets(self):
        found = machine_lib.describe(self.CPUINFO)
        self.assertEqual(machine_lib.folder_name(found),
                         'amd-epyc--avx512-vnni-bf16')
        self.assertEqual(machine_lib.exact(found)[:3], (25, 17, 1))
        self.assertEqual(found['clock_mhz'], 2445.4)

    def test_folders_have_short_names(self):
        for name, flags, folder in [
                ('Intel(R) Xeon(R) Processor @ 2.80GHz',
                 ['avx2', 'avx512f', 'avx512_vnni'],
                 'intel-xeon-2.80ghz--avx512-vnni'),
                ('Intel(R) Core(TM) CPU', ['avx2', 'avx_vnni'],
                 'intel-core--avx2-vnni'),
                ('Intel(R) Xeon(R) Processor',
                 ['avx2', 'avx_vnni', 'avx512f', 'avx512_bf16', 'amx_tile'],
                 'intel-xeon--avx512-vnni-bf16-amx'),
                ('AMD EPYC', [], 'amd-epyc--baseline')]:
            with self.subTest(folder):
                self.assertEqual(machine_lib.folder_name(
                    {'processor': name, 'instructions': flags}), folder)

    def test_caches_and_compiler_are_as_their_files_say(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.assertEqual(machine_lib.caches(folder), {})
            self.assertEqual(machine_lib.compiler(folder), 'unknown')
            for index, said in enumerate([('1', 'Data', '32K'),
                                          ('1', 'Instruction', '64K'),
                                          ('2', 'Unified', '1024K')]):
                own = folder / f'cache/index{index}'
                own.mkdir(parents=True)
                for file, text in zip(('level', 'type', 'size'), said):
                    (own / file).write_text(text + '\n')
            self.assertEqual(machine_lib.caches(folder),
                             {'L1': '32K', 'L2': '1024K'})
            own = folder / 'CMakeFiles/3.25.1'
            own.mkdir(parents=True)
            (own / 'CMakeCXXCompiler.cmake').write_text(
                'set(CMAKE_CXX_COMPILER_ID "GNU")\n'
                'set(CMAKE_CXX_COMPILER_VERSION "12.2.0")\n'
                'set(CMAKE_CXX_COMPILER_VERSION_INTERNAL "")\n')
            self.assertEqual(machine_lib.compiler(folder), 'GNU 12.2.0')

    def test_without_what_old_runs_did_not_say_nothing_is_made_up(self):
        self.assertIsNone(machine_lib.exact(machine(model=None)))


class LoadTest(unittest.TestCase):

    def measured(self, alone, p50, p99, saturation=100, engine_ms=15.0):
        def flow(latency, per_second=1, **more):
            return {'latency_ms': latency, 'errors': {}, 'client_processors':
                    .1, 'per_second': per_second, **more}
        return load.judge({
            'closed': [flow({'p50': alone, 'p99': alone}, saturation)],
            'open': [flow({'p50': p50, 'p99': p99}, share=.6)],
            'gaps': {'longest_ms': 1, 'above_1_ms': 0, 'seconds': 3,
                     'stopped_share': 0},
            'engine_ms': engine_ms, 'processors': 2})

    def met(self, *arguments, **more):
        section = store.Section(self.measured(*arguments, **more))
        found = rows.of([run_of('abc', section='load',
                                sections={'load': section})])
        return {row.figure.name: row.met for row in found}

    def test_a_steady_queue_that_is_slow_is_no_success(self):
        ratio = 'open loop at 60 % of it, p99 over p50'
        self.assertTrue(self.met(8.5, 13.5, 50)[ratio])
        # p99 over p50 is 1.03 in both.
        self.assertFalse(self.met(8.5, 3100, 3200)[ratio])
        # Nor where every request alone is as slow.
        self.assertFalse(self.met(3000, 3100, 3200)[ratio])

    def test_saturation_is_held_to_the_engine(self):
        name = 'saturation over the engine alone'
        # 266,667 candidates a second are 130 requests.
        self.assertTrue(self.met(8.5, 13, 50, saturation=115)[name])
        self.assertFalse(self.met(8.5, 13, 50, saturation=100)[name])


class EngineTest(unittest.TestCase):

    def test_a_lone_row_is_held_to_its_weights(self):
        def run_(ratio):
            return {'over_weights': ratio, 'us': 8 * ratio, 'weights_us': 8.0,
                    'weights_bytes': 832 * 1024, 'seconds': 1}
        found = {figure.name: figure for figure in engine.lone_rows({
            ('LoneFold', 'f32', None): run_(1.5),
            ('LoneRead', 'f32', None): run_(1.6)})}
        event = found['an event alone, over reading its weights once']
        self.assertEqual((event.met, event.note),
                         (True, '12.0 us, 832 KiB of weights in 8.0'))
        self.assertEqual(found['an event alone'].value, 12)
        self.assertIs(found["a request's user forward, over reading its "
                            'weights once'].met, False)

    def test_an_event_is_a_share_of_the_fold(self):
        hot, cold = engine.folds({
            ('FoldEvents', 'f32', 64): {'seconds': 320e-6},
            ('FoldColdEvents', 'f32', 64): {'seconds': 640e-6}})
        self.assertAlmostEqual(hot.value, 5)
        self.assertAlmostEqual(cold.value, 10)

    def test_what_an_older_program_does_not_measure_is_not_met(self):
        for figure in (*engine.lone_rows({}), *engine.folds({})):
            self.assertIsNone(figure.value)
            self.assertIsNone(figure.met)


class RpcTest(unittest.TestCase):

    def test_the_server_is_held_to_an_echo_of_the_same_round(self):
        # The machine is slower from the second round on.
        found = {figure.name: figure for figure in rpc.judge_turns({
            'echo': [.1, .2, .2], 'handed': [.2, .4, .4],
            'null': [.13, .28, .4], 'd128': [8.0, 9.0, 10.0]})}
        ratio = found['null model, 2,000 candidates, round trip over a bare '
                      'gRPC echo']
        self.assertAlmostEqual(ratio.value, 1.4)
        self.assertIn('1.30, 1.40, 2.00', ratio.note)
        self.assertAlmostEqual(found[
            'null model, 2,000 candidates, round trip over an echo by another '
            'thread'].value, .7)
        null = found['null model, 2,000 candidates, round trip, p50']
        self.assertEqual((null.value, null.target), (.28, ''))
        self.assertEqual(found['d=128, 2,000 candidates, round trip, '
                               'p50'].value, 9)


class FakeContext:
    """No build, and a machine with nothing to say."""

    def __init__(self, *arguments):
        pass

    def say(self, text):
        pass

    def gaps(self):
        return {'stopped_share': .01}

    def run_json(self, program):
        return {'clock_ghz': 2.0}


@unittest.skipUnless(importlib.util.find_spec('matplotlib'),
                     'matplotlib is not installed')
class RunsTest(unittest.TestCase):
    """`./run bench` itself, of sections that take no time."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.values = iter(range(100))

        def one(context):
            return figures.Result([figures.plain('x', next(self.values))])

        def other(context):
            if self.broken:
                raise RuntimeError('on purpose')
            return figures.Result([figures.at_most('errors', 0, 0)])
        self.broken = False
        for patch in (
                unittest.mock.patch.object(bench_main, 'SECTIONS',
                                           ('one', 'other')),
                unittest.mock.patch.object(bench_main.context_lib, 'Context',
                                           FakeContext),
                unittest.mock.patch.dict(sys.modules, {
                    f'bench.performance.{run.__name__}':
                        types.SimpleNamespace(run=run)
                    for run in (one, other)})):
            patch.start()
            self.addCleanup(patch.stop)

    def bench(self, *sections):
        """The exit status of a run, quietly."""
        with contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()):
            return bench_main.main([*sections, '--results', str(self.folder)])

    def runs(self):
        (found,) = store.read_all(self.folder).values()
        return found

    def test_twice_makes_two_runs_and_one_table(self):
        self.assertEqual([self.bench(), self.bench()], [0, 0])
        self.assertEqual([run.complete for run in self.runs()], [True, True])
        self.assertEqual(len(list(self.folder.rglob('*.json'))), 2)
        text = report.markdown(store.read_all(self.folder))
        self.assertEqual(text.count('| figure |'), 1)
        self.assertIn('2 measured every section in one run', text)
        self.assertIn('| `one` | x | 0.5 | 0 to 1.00 | 2 |', text)

    def test_a_run_of_some_sections_is_a_partial_one(self):
        self.assertEqual(self.bench('one'), 0)
        (run,) = self.runs()
        self.assertFalse(run.complete)
        self.assertEqual(list(run.sections), ['one'])
        text = report.markdown(store.read_all(self.folder))
        self.assertNotIn('in one run', text)
        self.assertIn('| 1, partial |', text)

    def test_a_section_that_fails_leaves_the_others_and_no_complete_run(self):
        self.broken = True
        self.assertEqual(self.bench(), 1)
        (run,) = self.runs()
        self.assertFalse(run.complete)
        self.assertEqual(list(run.sections), ['one'])

    def test_another_length_is_a_partial_run(self):
        self.assertEqual(self.bench('--minutes', '10'), 0)
        self.assertFalse(self.runs()[0].complete)

    def test_a_section_that_there_is_not_is_told(self):
        self.assertEqual(self.bench('nothing'), 2)
        self.assertEqual(store.read_all(self.folder), {})


class PeersTest(unittest.TestCase):

    def judged(self, times, wrong=None):
        data = peers.summarize(times, wrong or {
            label: dict.fromkeys(own, 1e-6) for label, own in times.items()})
        data.update(
            blas='Haswell', refused={}, engine_ms={'f32': 16.0},
            engine_error={'f32': 0.0},
            tried={label: {'ms': own} for label, own in times.items()})
        return {figure.name: figure for figure in peers.judge(data)}

    def test_the_engine_is_held_to_the_best_form_of_the_same_run(self):
        found = self.judged({
            'PyTorch f32': {'as exported': 31.9, '512 at a time': 34.5},
            'ONNX Runtime f32': {'as exported': 24.6, '512 at a time': 30.3}})
        ratio = found['f32: engine against the best peer']
        self.assertAlmostEqual(ratio.value, 24.6 / 16)
        self.assertIs(ratio.met, False)
        self.assertEqual(found['f32: the best peer, 2,000 candidates'].value,
                         24.6)
        self.assertEqual(found['ONNX Runtime f32, as exported'].value, 24.6)

    def test_int8_is_a_rival_of_int8_alone(self):
        found = self.judged({'ONNX Runtime f32': {'as exported': 24.6},
                             'ONNX Runtime int8': {'as exported': 12.0}})
        self.assertEqual(found['f32: the best peer, 2,000 candidates'].value,
                         24.6)
        self.assertEqual(found['int8: the best peer, 2,000 candidates'].value,
                         12.0)

    def test_no_form_of_an_exact_peer_may_be_wrong(self):
        found = self.judged(
            {'PyTorch f32': {'as exported': 31.9, 'traced': 20.0}},
            {'PyTorch f32': {'as exported': .5, 'traced': 1e-6}})
        name = 'f32 peers: largest difference from served scores'
        self.assertIs(found[name].met, False)

    def test_what_is_as_exported_is_always_timed_beside_the_engine(self):
        times = {'as exported': 9, 'a': 1, 'b': 2, 'c': 3, 'd': 4}
        runs = {name: name for name in times}
        self.assertEqual(set(forms.finalists(runs, times)),
                         {'as exported', 'a', 'b', 'c'})

    def test_the_fastest_kernels_are_chosen(self):
        rates = {None: 26.0, 'Haswell': 66.0, 'SkylakeX': 126.0}
        best, tried = blas.choose(rates.get)  # Cooperlake cannot run
        self.assertEqual(tried, {'by itself': 26.0, 'Haswell': 66.0,
                                 'SkylakeX': 126.0})
        started_with = blas.environment(best, tried)
        self.assertEqual(started_with[blas.CHOICE], 'SkylakeX')
        with unittest.mock.patch.dict(os.environ, started_with):
            self.assertEqual(blas.chosen(), (best, tried))
        self.assertNotIn(blas.CHOICE, blas.environment('by itself', tried))

    def test_a_form_that_cannot_be_is_told_and_the_others_are_tried(self):
        def cannot():
            raise forms.Unsupported('no such thing')
        runs, times, refused = forms.screen(
            [('as exported', lambda: sum), ('other', cannot)], [1, 2], 1e-6)
        self.assertEqual((list(runs), list(times), refused),
                         (['as exported'], ['as exported'],
                          {'other': 'no such thing'}))


class RebuildTest(unittest.TestCase):

    LINE = ('{"message": "rebuilt states", "users": %d, "events": %d}')

    def test_a_rebuild_that_leaves_something_out_is_no_figure(self):
        rebuild.check('x\n' + self.LINE % (rebuild.USERS, rebuild.EVENTS))
        with self.assertRaisesRegex(RuntimeError, 'not all'):
            rebuild.check(self.LINE % (rebuild.USERS, rebuild.EVENTS - 1))
        with self.assertRaisesRegex(RuntimeError, 'nothing'):
            rebuild.check('x')


class MemoryTest(unittest.TestCase):

    def test_growth_is_the_slope_of_the_later_half(self):
        filling = [(t, 1000.0 * t) for t in range(10)]
        steady = [(t, 9000.0 + 2 * t) for t in range(10, 20)]
        self.assertAlmostEqual(memory.growth(filling + steady), 120)
        self.assertEqual(memory.growth([(0, 5)]), 0)

    def test_few_samples_are_kept_of_many(self):
        samples = [(t, t) for t in range(1201)]
        kept = memory.thinned(samples)
        self.assertLessEqual(len(kept), memory.SAMPLES_KEPT)
        self.assertGreater(len(kept), memory.SAMPLES_KEPT / 2)
        self.assertEqual(memory.thinned(samples[:3]), samples[:3])


if __name__ == '__main__':
    unittest.main()
