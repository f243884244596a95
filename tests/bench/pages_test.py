"""The pages quote what the results give, all of it, and say of what it is; and
plots show what was measured."""

import importlib.util
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

from bench.performance import commits, pages, report, rows  # noqa: E402
from bench.performance import store  # noqa: E402

# Pages whose measured figures must say of which commit they are, and the parts
# that say how something is measured rather than how much it was.
ATTRIBUTED = {
    'docs/performance.md': ['Performance', 'The factor of 100', 'Plots'],
    'docs/proof.md': ['Fuzzing', 'Corpora'],
}


class ResultsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.machines = store.read_all(pages.RESULTS)

    def test_pages_are_what_the_results_give(self):
        for path, text in pages.made().items():
            with self.subTest(path.name):
                self.assertEqual(
                    path.read_text(), text, f'{path} is out of date; '
                    '`python3 -m bench.performance.pages` fills it')

    def test_nothing_measured_is_missing(self):
        page = (ROOT / 'docs/performance.md').read_text()
        for folder, runs in self.machines.items():
            for run in runs:
                for name, section in run.sections.items():
                    for figure in section.figures:
                        self.assertIn(f'| {figure.name} |', page,
                                      f'{folder}, {run.date}, {name}')

    def test_every_row_says_of_what_it_is(self):
        """Processor, instruction sets, commit and number of runs."""
        page = (ROOT / 'docs/performance.md').read_text()
        tables = page.partition(pages.BEGIN)[2].partition(pages.END)[0]
        machine = instructions = commit = None
        rows_seen = 0
        for line in tables.splitlines():
            if heading := re.fullmatch(r'### (\S.*) \((\w[\w-]*)\).*', line):
                machine, instructions, commit = heading[1], None, None
            elif detail := re.match(r'\d+ cores with (\w.*) \(', line):
                instructions = detail[1]
            elif of := re.match(r'Commit ([0-9a-f]{10}\+?), \d+ runs?, 20',
                                line):
                commit = of[1]
            elif line.startswith('|') and '---' not in line and (
                    '| figure |' not in line):
                self.assertTrue(machine and instructions and commit, line)
                self.assertRegex(line, r'\| \d+(, partial)? \|')
                rows_seen += 1
        measured = sum(len(rows.of(runs)) for runs in self.machines.values())
        self.assertEqual(rows_seen, measured)

    def test_every_section_was_measured(self):
        measured = {row.section for runs in self.machines.values()
                    for row in rows.of(runs)}
        self.assertEqual(set(rows.SECTIONS) - measured, set())

    def test_every_row_of_the_headline_has_a_result(self):
        lines = report.headline(self.machines).splitlines()
        found = [line for line in lines
                 if re.match(r'\| \w+: ', line)]
        self.assertGreater(len(found), 20)
        for line in found:
            cells = [cell.strip() for cell in line.split('|')[2:-2]]
            self.assertNotEqual(set(cells), {'-'}, line)

    def test_what_is_called_one_run_is_one(self):
        for runs in self.machines.values():
            for run in runs:
                if run.complete:
                    missing = set(run.asked) - set(run.sections)
                    self.assertEqual(missing, set(), run.date)
                    # A section may be younger than the run.
                    self.assertGreater(len(run.sections), 10, run.date)

    def test_files_are_where_their_machine_belongs(self):
        for path in pages.RESULTS.glob('*/runs/*.json'):
            run = store.read(path)
            self.assertEqual(store.path_of(pages.RESULTS, run), path)

    def test_plots_that_pages_show_are_there(self):
        for name in ('docs/performance.md', 'README.md'):
            text = (ROOT / name).read_text()
            for link in re.findall(r'\]\(([^)]*results/[^)]*\.png)\)', text):
                path = (ROOT / name).parent / link
                self.assertTrue(path.exists(), f'{name}: {link}')


class CommitsTest(unittest.TestCase):

    def test_measured_figures_name_their_commit(self):
        for name, how in ATTRIBUTED.items():
            with self.subTest(name):
                found = commits.unattributed((ROOT / name).read_text())
                self.assertEqual([part for part in found if part not in how],
                                 [])

    def test_a_block_without_a_commit_is_told(self):
        text = ('## One\n\nIt took 13 ms.\n\nAt commit `abcdef1`.\n\n## Two\n\n'
                'It took 13 ms.\n\n### Three\n\n| a | 5.3 x |\n\n## Four\n\n'
                'Of two processors.\n')
        self.assertEqual(commits.unattributed(text), ['Two', 'Three'])

    def test_generated_figures_name_theirs_already(self):
        text = ('## One\n\nA peak of <!-- figure a/b/c -->13 ms<!-- /figure '
                f'-->.\n\n{pages.BEGIN}\n\n## Two\n\n13 ms\n\n{pages.END}\n')
        self.assertEqual(commits.unattributed(text), [])

    def test_code_is_no_figure(self):
        self.assertEqual(commits.unattributed(
            '## One\n\n    wait 13 ms\n\nwith `--timeout 13 ms`.\n'), [])

    @unittest.skipUnless((ROOT / '.git').exists(), 'not in a repository')
    def test_every_commit_of_a_run_is_known(self):
        known = subprocess.run(
            ['git', 'rev-list', '--all', '--abbrev-commit', '--abbrev=10'],
            cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.split()
        if len(known) < 100:
            self.skipTest('a shallow clone')
        for path in pages.RESULTS.glob('*/runs/*.json'):
            run = store.read(path)
            # Some were of branches that were rebased before they were merged.
            if run.commit_date:
                self.assertIn(run.commit[:10], known, path.name)


@unittest.skipUnless(importlib.util.find_spec('matplotlib'),
                     'matplotlib is not installed')
class PlotsTest(unittest.TestCase):
    """What is drawn, and not only that something is."""

    @classmethod
    def setUpClass(cls):
        from bench.performance import plots
        cls.plots = plots
        cls.runs = store.read_all(pages.RESULTS)
        cls.drawn = {name: plots.drawn(runs)
                     for name, runs in cls.runs.items()}

    def axes(self, file):
        """(axes, machine) of every machine that has such a plot."""
        found = [(figures[file].axes[0], name)
                 for name, figures in self.drawn.items() if file in figures]
        self.assertTrue(found, file)
        return found

    def data(self, machine, section):
        return rows.representative(self.runs[machine],
                                   section).sections[section].data

    def points(self, axes):
        """{label: [(x, y)]} of its lines with a label."""
        return {line.get_label(): [tuple(map(float, point)) for point
                                   in zip(*line.get_data())]
                for line in axes.get_lines()
                if not line.get_label().startswith('_')}

    def test_every_plot_is_drawn_and_says_what_of(self):
        seen = {file for figures in self.drawn.values() for file in figures}
        self.assertEqual(seen, set(self.plots.PLOTS))
        for name, figures in self.drawn.items():
            for file, figure in figures.items():
                (axes,) = figure.axes
                self.assertTrue(axes.get_xlabel() , file)
                self.assertTrue(axes.get_ylabel() or file == 'peers.png', file)
                commits_ = {run.code for run in self.runs[name]}
                self.assertTrue(any(code in axes.get_title()
                                    for code in commits_), axes.get_title())

    def test_load_shows_every_rate_of_both_loops(self):
        for axes, machine in self.axes('load.png'):
            data, points = self.data(machine, 'load'), self.points(axes)
            self.assertEqual(len(points), 4)
            for kind in ('closed', 'open'):
                for quantile in ('p50', 'p99'):
                    self.assertEqual(
                        points[f'{kind} loop, {quantile}'],
                        [(run['per_second'], run['latency_ms'][quantile])
                         for run in data[kind]])

    def test_history_shows_every_length_beside_softmax(self):
        for axes, machine in self.axes('history.png'):
            points = self.points(axes)
            self.assertEqual(len(points), 3)
            own = self.data(machine, 'history')['p50_ms']
            self.assertEqual(dict(points['qlarank, round trip, p50']),
                             {float(n): ms for n, ms in own.items()})
            softmax = self.data(machine, 'softmax')['softmax_ms']
            for label in ('PyTorch', 'ONNX Runtime'):
                self.assertEqual(
                    dict(points[f'softmax attention, one layer, {label}']),
                    {float(n): by[label] for n, by in softmax.items()})

    def test_engine_has_a_bar_and_a_target_for_each_precision(self):
        for axes, machine in self.axes('engine.png'):
            shares = [100 * times['share'] for times in
                      self.data(machine, 'engine')['times'].values()]
            self.assertEqual([bar.get_height() for bar in axes.patches],
                             shares)
            self.assertEqual(len(axes.get_lines()), len(shares))

    def test_peers_has_a_bar_for_each_and_for_the_engine(self):
        for axes, machine in self.axes('peers.png'):
            data = self.data(machine, 'peers')
            self.assertEqual(
                sorted(bar.get_width() for bar in axes.patches),
                sorted([*data['peers_ms'].values(),
                        *data['engine_ms'].values()]))
            labels = [label.get_text() for label in axes.get_yticklabels()]
            self.assertEqual(sorted(labels), sorted(
                [*data['peers_ms'],
                 *(f'engine {name}' for name in data['engine_ms'])]))

    def test_rpc_shows_both_models(self):
        for axes, machine in self.axes('rpc.png'):
            points = self.points(axes)
            data = self.data(machine, 'rpc')['round_trip_ms']
            for label, name in (('d=128, H=4, L=2', 'd128'),
                                ('null model', 'null')):
                self.assertEqual(dict(points[label]), {
                    float(n): latency['p50']
                    for n, latency in data[name].items()})

    def test_memory_shows_samples_and_budget(self):
        for axes, machine in self.axes('memory.png'):
            data, points = self.data(machine, 'memory'), self.points(axes)
            self.assertEqual(points['resident'],
                             [(t, size / 2**20) for t, size in data['samples']])
            self.assertIn('budget', points)

    def test_a_soak_shows_memory_files_and_latencies(self):
        from bench.soak import plot
        data = {'samples': [(0, 2**20, 10), (60, 2**21, 11), (120, 2**21, 12)],
                'slices': [{'p50': 1.0, 'p99': 5.0}, {'p50': 2.0, 'p99': 9.0}]}
        with tempfile.TemporaryDirectory() as folder, \
                unittest.mock.patch.object(plot.pyplot, 'close'):
            plot.draw(data, pathlib.Path(folder) / 'soak.png')
            memory, latency, files = plot.pyplot.gcf().axes
        plot.pyplot.close('all')
        self.assertEqual(self.points(memory)['resident, MiB'],
                         [(0, 1), (1, 2), (2, 2)])
        self.assertEqual(self.points(files)['open files'],
                         [(0, 10), (1, 11), (2, 12)])
        self.assertEqual(self.points(latency), {
            'p50': [(.5, 1), (1.5, 2)], 'p99': [(.5, 5), (1.5, 9)]})
        self.assertEqual(latency.get_xlabel(), 'minutes')

    def test_overload_shows_every_second(self):
        for axes, machine in self.axes('overload.png'):
            data, points = self.data(machine, 'overload'), self.points(axes)
            flows = data['per_second'].values()
            for kind in ('answered', 'refused'):
                sums = [max(.5, sum(counts)) for counts
                        in zip(*(flow[kind] for flow in flows))]
                self.assertGreater(len(sums), 30)
                self.assertEqual([y for _, y in points[kind]], sums)
            self.assertIn('capacity', points)


if __name__ == '__main__':
    unittest.main()
