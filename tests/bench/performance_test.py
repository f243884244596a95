"""The benchmark's verdicts, tables and files say what was measured."""

import json
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from bench.performance import figures, google_benchmark, memory  # noqa: E402
from bench.performance import report, store  # noqa: E402

MACHINE = {'date': '2026-01-02T03:04:05+00:00', 'commit': 'abc',
           'processor': 'Some CPU', 'processors': 2,
           'instructions': ['avx2'], 'memory_gib': 8.0}

OTHER = {**MACHINE, 'processor': 'Other(R) @ 2.80GHz'}


class FiguresTest(unittest.TestCase):

    def test_a_bound_is_met_on_the_right_side_of_it_only(self):
        for judge, value, met in [
                (figures.at_least, 1.6, True), (figures.at_least, 1.59, False),
                (figures.at_most, 1.6, True), (figures.at_most, 1.61, False),
                (figures.below, 1.59, True), (figures.below, 1.6, False)]:
            with self.subTest(judge=judge.__name__, value=value):
                self.assertIs(judge('x', value, 1.6).met, met)

    def test_what_was_not_measured_is_not_met(self):
        figure = figures.at_least('x', None, 1)
        self.assertEqual(figure.verdict(), 'NOT MEASURED')
        self.assertIn('0 of 1 targets met', report.summary({'s': [figure]}))

    def test_a_miss_is_named(self):
        text = report.summary({'s': [figures.at_most('slow', 2, 1),
                                     figures.at_most('fast', 1, 1),
                                     figures.plain('size', 5)]})
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
            self.run_named('GemmPeak/int8', 1.0, gflops=450.0)]})
        self.assertEqual(found, {
            ('RankCandidates', 'f32', 2000): {'seconds': .016,
                                              'share_of_peak': .84},
            ('RankCandidates', 'bf16', 2000): {'seconds': .008},
            ('GemmPeak', 'int8', None): {'seconds': .001, 'gflops': 450.0}})

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


class ReportTest(unittest.TestCase):

    def test_a_table_goes_between_the_markers_and_nowhere_else(self):
        page = f'before\n{report.BEGIN}\nold\n{report.END}\nafter\n'
        text = report.into_page(page, 'new')
        self.assertEqual(text, f'before\n{report.BEGIN}\n\nnew\n\n'
                               f'{report.END}\nafter\n')
        self.assertEqual(report.into_page(text, 'new'), text)

    def test_a_page_without_markers_is_refused(self):
        with self.assertRaisesRegex(ValueError, 'figures: begin'):
            report.into_page('page', 'table')

    def test_the_real_pages_have_the_markers(self):
        for page in ('docs/performance.md', 'README.md'):
            report.into_page((ROOT / page).read_text(), '')

    def test_the_headline_has_judged_figures_only(self):
        text = report.headline({
            'Some CPU': {'a': (MACHINE, [figures.at_most('x', 2, 1),
                                         figures.plain('y', 3)])},
            OTHER['processor']: {
                'a': (OTHER, [figures.at_most('x', 1, 1),
                              figures.at_least('z', None, 1)])}})
        self.assertEqual(text.splitlines(), [
            '| | Some CPU | Other(R) @ 2.80GHz | target |',
            '|---|---:|---:|---:|',
            '| a: x | **2.00** | 1.00 | <= 1.00 |',
            '| a: z | - | - | >= 1.00 |'])

    def test_sections_of_two_runs_have_two_tables(self):
        later = {**MACHINE, 'commit': 'def'}
        text = report.markdown({
            'Some CPU': {
                'a': (MACHINE, [figures.at_most('x', 2, 1, 'ms', 'p|q')]),
                'b': (later, [figures.plain('y', 3)])},
            OTHER['processor']: {'a': (OTHER, [figures.plain('x', 5)])}})
        self.assertEqual(text.count('| figure |'), 3)
        self.assertIn('| `a` | x | 2.00 ms | <= 1.00 | **NOT met** | p/q |',
                      text)
        self.assertIn('commit def', text)
        self.assertIn('2 cores of Other(R)', text)


class StoreTest(unittest.TestCase):

    def test_what_was_written_is_read_and_history_grows(self):
        result = figures.Result([figures.at_least('x', 2.0, 1.0),
                                 figures.at_least('y', None, 1.0)], {'d': [1]})
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            store.write(folder, MACHINE, 'rpc', result)
            store.write(folder, OTHER, 'rpc', result)
            found = store.read(folder, ('rpc', 'never'))
            self.assertEqual(found, {
                machine['processor']: {'rpc': (machine, result.figures,
                                               result.data)}
                for machine in (MACHINE, OTHER)})
            for _ in range(2):
                store.append_history(folder, MACHINE, {'rpc': result})
            lines = (folder / 'history.jsonl').read_text().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(json.loads(lines[0]), {
            'date': MACHINE['date'], 'commit': 'abc', 'processor': 'Some CPU',
            'figures': {'rpc': {'x': 2.0}}})


class MemoryTest(unittest.TestCase):

    def test_growth_is_the_slope_of_the_later_half(self):
        filling = [(t, 1000.0 * t) for t in range(10)]
        steady = [(t, 9000.0 + 2 * t) for t in range(10, 20)]
        self.assertAlmostEqual(memory.growth(filling + steady), 120)
        self.assertEqual(memory.growth([(0, 5)]), 0)


if __name__ == '__main__':
    unittest.main()
