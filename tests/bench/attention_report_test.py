"""The tables of the attention benchmark say what its files say."""

import importlib.util
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'bench' / 'attention'))
sys.dont_write_bytecode = True

import report  # noqa: E402
import results  # noqa: E402


class ReportTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding='utf-8')
        return path

    def test_an_exponent_is_the_slope_of_the_fitted_range_only(self):
        squares = {n: 3.0 * n * n for n in (1_024, 2_048, 16_384)}
        outside = {128: 1e9, 1_000_000: 1e9}
        self.assertAlmostEqual(results.exponent({**squares, **outside}), 2)

    def test_an_exponent_needs_two_histories(self):
        self.assertIsNone(results.exponent({2_048: 1.0, 128: 1.0}))

    def test_empty_cells_are_absent(self):
        path = self.write(
            'attention.csv',
            'mechanism,history,events,rank_ms,append_us,bytes_kept\n'
            'softmax_recomputed,1024,1024,70.5,,0\n')
        self.assertEqual(results.read_costs(path)['softmax_recomputed'], {
            'rank_ms': {1_024: 70.5}, 'bytes_kept': {1_024: 0.0},
            'events': {1_024: 1_024.0}})

    def test_a_missing_file_is_named_with_what_makes_it(self):
        with self.assertRaisesRegex(results.ResultsError,
                                    'attention.csv is missing: run ./run'):
            results.read_costs(self.folder / 'attention.csv')

    def test_a_leak_of_bits_alone_is_a_leak(self):
        moves = results.read_leakage(self.write(
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

    @unittest.skipUnless(importlib.util.find_spec('matplotlib'),
                         'matplotlib is not installed')
    def test_every_mechanism_has_a_line_of_its_own(self):
        import plot
        # One has no cost, the other is beside QLA's.
        drawn = set(results.TITLES) - {'softmax_unmasked', 'engine'}
        self.assertEqual(set(plot.STYLES), drawn)
        self.assertEqual(len(set(plot.STYLES.values())), len(drawn))

    @unittest.skipUnless(importlib.util.find_spec('matplotlib'),
                         'matplotlib is not installed')
    def test_a_plot_shows_every_history_of_every_mechanism(self):
        import plot
        costs = {'qla': {'rank_ms': {128: 4.0, 1_024: 4.1},
                         'append_us': {128: 3.0}},
                 'none': {'rank_ms': {128: 2.0}, 'bytes_kept': {128: 0}}}
        plot.pyplot.close('all')  # what another test left
        with unittest.mock.patch.object(plot.pyplot, 'close'):
            paths = plot.draw(costs, self.folder)
            drawn = [plot.pyplot.figure(number).axes[0] for number
                     in plot.pyplot.get_fignums()]
        plot.pyplot.close('all')
        self.assertEqual([path.name for path in paths],
                         [file for _, file, _ in plot.PLOTS])
        for axes, (quantity, _, label) in zip(drawn, plot.PLOTS):
            self.assertEqual(axes.get_ylabel(), label)
            self.assertEqual(axes.get_xlabel(),
                             "events in the user's history")
            lines = {line.get_label(): [tuple(point) for point
                                        in line.get_xydata()]
                     for line in axes.get_lines()}
            # A logarithm has no place for what costs nothing.
            self.assertEqual(lines, {
                results.TITLES[name]: sorted(own[quantity].items())
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
