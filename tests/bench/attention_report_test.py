"""The tables of the attention benchmark say what its files say, and the page
shows all of it."""

import contextlib
import dataclasses
import importlib.util
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from bench.attention import __main__ as command  # noqa: E402
from bench.attention import pages, report, store  # noqa: E402

NEEDS_MATPLOTLIB = unittest.skipUnless(
    importlib.util.find_spec('matplotlib'), 'matplotlib is not installed')
MACHINE = {'processor': 'Some CPU', 'instructions': ['avx2'], 'family': 25,
           'model': 17, 'stepping': 1, 'processors': 2, 'memory_gib': 8.0,
           'clock_mhz': 2000.0}
RUN = store.Run(
    commit='0123456789abcdef', changed=False, machine=MACHINE,
    date='2026-01-02T03:04:05+00:00', caches={'L2': '1024K'},
    compiler='GNU 12.2.0', load_begin=[1.52, 1, 1], load_end=[2.08, 1, 1])
COSTS = {'qla': {'rank_ms': {128: 4.0, 1_024: 4.1}, 'append_us': {128: 3.0},
                 'bytes_kept': {1_024: 16.0}}}
COSTS_CSV = ('mechanism,history,events,rank_ms,append_us,bytes_kept\n'
             'qla,128,128,4.0,3.0,16\nqla,1024,1024,4.1,,16\n')
LEAKAGE_CSV = 'mechanism,bitwise_equal,largest_move\nqla,1,0\n'


class PageTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.race = store.read()
        cls.page = (ROOT / pages.PAGE).read_text(encoding='utf-8')

    def test_the_page_is_what_the_results_give(self):
        self.assertEqual(pages.filled(self.page, self.race), self.page,
                         '`./run bench attention pages` writes it')

    def test_every_table_stands_once(self):
        self.assertEqual(sorted(pages.shown(self.page)),
                         sorted(report.TABLES))

    def test_every_mechanism_was_measured_and_is_described(self):
        measured = set(store.TITLES) - {'softmax_unmasked'}
        self.assertEqual(set(self.race.costs), measured)
        # The other two are softmax and QLA.
        of_its_own = measured - {'softmax_recomputed', 'engine'}
        self.assertEqual(set(self.race.moves),
                         of_its_own | {'softmax_unmasked'})
        described = self.page.partition('## What is compared')[2].partition(
            '\n## ')[0]
        for name in of_its_own:
            title = re.split('[,:] (?:keys|the floor)', store.TITLES[name])[0]
            self.assertIn(f'\n| {title} |', described)

    @NEEDS_MATPLOTLIB
    def test_images_are_drawn_from_the_results(self):
        from bench.attention import plot
        for _, file, _ in plot.PLOTS:
            with self.subTest(file):
                self.assertIn(f'images/{file}', self.page)
                self.assertIn(plot.description(self.race).encode(),
                              (ROOT / pages.IMAGES / file).read_bytes(),
                              '`./run bench attention pages` draws it')

    def test_the_run_says_of_what_it_is(self):
        run = self.race.run
        self.assertRegex(run.commit, '^[0-9a-f]{10}$')
        self.assertFalse(run.changed, 'the race of a commit is to be kept')
        for known in (run.compiler, run.caches, run.machine['instructions']):
            self.assertTrue(known)

    def test_text_around_a_table_stays_and_an_unknown_table_is_refused(self):
        race = store.Race(COSTS, {'qla': 0.0}, RUN, '')
        text = 'a\n<!-- race memory -->\nold\n<!-- /race -->\nb\n'
        made = pages.filled(text, race)
        self.assertTrue(made.startswith('a\n<!-- race memory -->\n\n| '))
        self.assertTrue(made.endswith('.</sub>\n\n<!-- /race -->\nb\n'))
        self.assertNotIn('old', made)
        self.assertEqual(pages.filled(made, race), made)
        with self.assertRaisesRegex(ValueError, "'speed'"):
            pages.filled('<!-- race speed --><!-- /race -->', race)


class ReportTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding='utf-8')
        return path

    def write_results(self, folder='.'):
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        self.write(f'{folder}/{store.COSTS}', COSTS_CSV)
        self.write(f'{folder}/{store.LEAKAGE}', LEAKAGE_CSV)

    def test_what_is_kept_can_be_read_again(self):
        self.write_results()
        store.keep(self.folder, RUN, self.folder / 'kept')
        race = store.read(self.folder / 'kept')
        self.assertEqual(race.run, RUN)
        self.assertEqual(race.costs['qla']['rank_ms'], {128: 4.0, 1_024: 4.1})
        self.assertEqual(race.moves, {'qla': 0.0})

    def test_the_digest_is_of_costs_and_leakage(self):
        self.write_results()
        store.keep(self.folder, RUN, self.folder)
        digests = {store.read(self.folder).digest}
        self.write(store.COSTS, COSTS_CSV.replace('4.1', '4.2'))
        digests.add(store.read(self.folder).digest)
        self.write(store.LEAKAGE, LEAKAGE_CSV.replace('1,0', '0,1'))
        digests.add(store.read(self.folder).digest)
        self.assertEqual(len(digests), 3)

    def test_nothing_is_kept_of_half_a_measurement(self):
        self.write(store.COSTS, COSTS_CSV)
        kept = self.folder / 'kept'
        with self.assertRaisesRegex(store.ResultsError, 'leakage.csv is miss'):
            store.keep(self.folder, RUN, kept)
        self.assertFalse(kept.exists())

    def test_a_mechanism_without_a_title_is_refused(self):
        path = self.write(store.COSTS, COSTS_CSV.replace('qla', 'new'))
        with self.assertRaisesRegex(store.ResultsError, "called 'new'"):
            store.read_costs(path)

    def test_a_run_of_another_format_is_refused(self):
        for text in ('{"format": 0}', '{"format": 1}', '{}', '[', '[]'):
            with self.subTest(text), self.assertRaisesRegex(
                    store.ResultsError, 'run.json'):
                store.read_run(self.write(store.RUN, text))

    def test_a_table_says_of_what_it_is(self):
        self.assertEqual(
            report.origin(RUN),
            '1 run of commit `0123456789`, 2026-01-02, Some CPU (avx2), '
            'family 25, model 17, 2 cores, GNU 12.2.0; load average 1.5 at '
            'the beginning, 2.1 at the end.')
        without = {**MACHINE, 'family': None, 'model': None}
        said = report.origin(dataclasses.replace(RUN, changed=True,
                                                 machine=without))
        self.assertIn('`0123456789+`', said)
        self.assertIn('Some CPU (avx2), 2 cores', said)

    def run_command(self, *arguments, measures=True):
        """The exit code and output of ./run bench attention in a tree of this
        test's own; measures: whether attention_bench succeeds."""
        page = self.folder / pages.PAGE
        page.parent.mkdir(exist_ok=True)
        (self.folder / pages.IMAGES).mkdir(exist_ok=True)
        if not page.exists():
            page.write_text('<!-- race request -->\n<!-- /race -->\n')

        def race(program, check):
            self.assertEqual((program[0].name, check),
                             ('attention_bench', True))
            if not measures:
                raise subprocess.CalledProcessError(1, program)
            self.write_results(program[1])
        with contextlib.redirect_stdout(io.StringIO()) as output, \
                contextlib.redirect_stderr(output), \
                unittest.mock.patch.object(
                    command.machine, 'commit', return_value={
                        'commit': 'abc', 'commit_date': None, 'dirty': True}), \
                unittest.mock.patch.object(command.subprocess, 'run', race):
            code = command.main(list(arguments), self.folder)
        return code, output.getvalue()

    @NEEDS_MATPLOTLIB
    def test_a_race_is_kept_and_shown(self):
        code, output = self.run_command()
        self.assertEqual(code, 0, output)
        self.assertIn('| one event appended, µs | ', output)
        page = self.folder / pages.PAGE
        text = page.read_text()
        self.assertIn('1 run of commit `abc+`', text)
        self.assertIn('4.10', text)
        # The page can be made anew from what was kept, without measuring.
        page.write_text(text.replace('4.10', '4.20'))
        code, output = self.run_command('pages', measures=False)
        self.assertEqual((code, page.read_text()), (0, text))
        self.assertEqual(output.split(), [
            'docs/attention.md', 'docs/images/attention_request.png',
            'docs/images/attention_append.png',
            'docs/images/attention_bytes.png'])

    def test_a_race_that_fails_changes_nothing(self):
        code, output = self.run_command(measures=False)
        self.assertEqual(code, 1)
        self.assertIn('error: ', output)
        self.assertEqual(list(self.folder.glob('bench/**/*.csv')), [])

    def test_an_exponent_is_the_slope_of_the_fitted_range_only(self):
        squares = {n: 3.0 * n * n for n in (1_024, 2_048, 16_384)}
        outside = {128: 1e9, 1_000_000: 1e9}
        self.assertAlmostEqual(store.exponent({**squares, **outside}), 2)

    def test_an_exponent_needs_two_histories(self):
        self.assertIsNone(store.exponent({2_048: 1.0, 128: 1.0}))

    def test_empty_cells_are_absent(self):
        path = self.write(
            'attention.csv',
            'mechanism,history,events,rank_ms,append_us,bytes_kept\n'
            'softmax_recomputed,1024,1024,70.5,,0\n')
        self.assertEqual(store.read_costs(path)['softmax_recomputed'], {
            'rank_ms': {1_024: 70.5}, 'bytes_kept': {1_024: 0.0},
            'events': {1_024: 1_024.0}})

    def test_a_missing_file_is_named_with_what_makes_it(self):
        with self.assertRaisesRegex(store.ResultsError,
                                    'attention.csv is missing: run ./run'):
            store.read_costs(self.folder / 'attention.csv')

    def test_a_leak_of_bits_alone_is_a_leak(self):
        moves = store.read_leakage(self.write(
            'leakage.csv', 'mechanism,bitwise_equal,largest_move\n'
            'softmax,1,0\nhstu,0,0\nlinear,0,0.5\n'))
        self.assertEqual(report.leak(moves, 'softmax'), 'no')
        self.assertRegex(report.leak(moves, 'hstu'), '^yes')
        self.assertEqual(report.leak(moves, 'linear'), 'yes: 0.5 deviations')
        self.assertEqual(report.leak(moves, 'qla'), '-')

    def test_memory_is_shown_under_its_history(self):
        table = report.memory_table(
            {'qla': {'bytes_kept': {1_024: 16_448.0, 16_384: 16_448.0}}},
            {'qla': 0.0})
        self.assertEqual([cell.strip() for cell in table.splitlines()[-1]
                          .strip('|').split('|')],
                         ['QLA', '16,448', '16,448', '-', 'no'])

    @NEEDS_MATPLOTLIB
    def test_every_mechanism_has_a_line_of_its_own(self):
        from bench.attention import plot
        # One has no cost, the other is beside QLA's.
        drawn = set(store.TITLES) - {'softmax_unmasked', 'engine'}
        self.assertEqual(set(plot.STYLES), drawn)
        self.assertEqual(len(set(plot.STYLES.values())), len(drawn))

    @NEEDS_MATPLOTLIB
    def test_a_plot_shows_every_history_of_every_mechanism(self):
        from bench.attention import plot
        costs = {'qla': {'rank_ms': {128: 4.0, 1_024: 4.1},
                         'append_us': {128: 3.0}},
                 'none': {'rank_ms': {128: 2.0}, 'bytes_kept': {128: 0}}}
        race = store.Race(costs, {}, RUN, 'abc')
        plot.pyplot.close('all')  # what another test left
        with unittest.mock.patch.object(plot.pyplot, 'close'):
            paths = plot.draw(race, self.folder)
            drawn = [plot.pyplot.figure(number).axes[0] for number
                     in plot.pyplot.get_fignums()]
        plot.pyplot.close('all')
        self.assertEqual([path.name for path in paths],
                         [file for _, file, _ in plot.PLOTS])
        for axes, (quantity, _, label) in zip(drawn, plot.PLOTS):
            self.assertEqual(axes.get_ylabel(), label)
            self.assertEqual(axes.get_title(), 'Some CPU (avx2), 0123456789')
            self.assertEqual(axes.get_xlabel(),
                             "events in the user's history")
            lines = {line.get_label(): [tuple(point) for point
                                        in line.get_xydata()]
                     for line in axes.get_lines()}
            # A logarithm has no place for what costs nothing.
            self.assertEqual(lines, {
                store.TITLES[name]: sorted(own[quantity].items())
                for name, own in costs.items()
                if any(own.get(quantity, {}).values())})

    def test_costs_are_shown_under_their_history(self):
        costs = {'qla': {'rank_ms': {128: 4.0, 1_024: 4.0, 16_384: 4.0,
                                     1_000_000: 4.1}},
                 'softmax': {'rank_ms': {128: 8.0, 1_024: 40.0,
                                         16_384: 640.0}}}
        rows = report.cost_table(costs, 'rank_ms', 'ms').splitlines()[2:]
        cells = [[cell.strip() for cell in row.strip('|').split('|')]
                 for row in rows]
        self.assertEqual(cells, [
            ['softmax, keys cached', '8.00', '40.0', '640', '-', '1.00'],
            ['QLA', '4.00', '4.00', '4.00', '4.10', '0.00']])


if __name__ == '__main__':
    unittest.main()
