"""Tables of quality are what trainings measured, and say which they were."""

import json
import pathlib
import re
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True

from bench.quality import __main__ as command  # noqa: E402
from bench.quality import attention, figures, keep, pages  # noqa: E402
from bench.quality import samples, store, table, tables  # noqa: E402
from trainer import provenance  # noqa: E402

TERMS = 'model, dot term'


class PagesTest(unittest.TestCase):

    def test_pages_are_what_the_results_give(self):
        self.assertEqual([str(path) for path in pages.stale()], [],
                         '`./run bench quality` writes them')

    def test_every_table_stands_on_one_page(self):
        found = [name for page in pages.PAGES
                 for name in pages.shown((ROOT / page).read_text())]
        self.assertEqual(sorted(found), sorted(pages.NAMES))

    def test_every_result_is_read_and_its_config_is_that_of_its_digest(self):
        count = 0
        for folder in store.RESULTS.iterdir():
            for name, run in store.read(folder.name).items():
                self.assertTrue(run.results or run.summary, name)
                for seed, result in run.results.items():
                    count += 1
                    if result.config:
                        self.assertEqual(
                            provenance.config_digest(result.config),
                            result.provenance['config_digest'],
                            f'{folder.name}/{name}/{seed}')
        self.assertGreater(count, 40)

    def test_every_result_is_shown(self):
        """In a table, so that no figure is kept that nobody sees."""
        rows = [(one.data_set, row) for one in tables.TABLES.values()
                for row in one.rows if isinstance(row, table.Row)]
        names = {(data_set, name) for data_set, row in rows
                 for name in (row.run, *row.one_of)}
        names |= {(data_set, row.run.format(task=task))
                  for data_set, row in rows if '{task}' in row.run
                  for task in ('is_click', 'long_view', 'is_like')}
        for folder in store.RESULTS.iterdir():
            for name in store.read(folder.name):
                self.assertTrue(
                    (folder.name, name) in names or
                    name in attention.MECHANISMS or
                    folder.name == samples.DATA_SET and
                    name.rpartition(' ')[0] in samples.SAMPLES,
                    f'{folder.name}/{name}')

    def test_a_page_names_only_tables_that_there_are(self):
        with self.assertRaisesRegex(ValueError, "no table is called 'other'"):
            pages.filled('<!-- quality other -->\n<!-- /quality -->')


class Results(unittest.TestCase):
    """In folders of their own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.results = self.folder / 'results'

    def sweep(self, name, seed, test, validation=(), steps=None, **said):
        """Writes what a sweep leaves of a training."""
        config = {'model': {'attention': name}, 'training': {
            'seed': seed, 'window': 200, 'steps': steps}}
        path = self.folder / 'sweep' / name / str(seed) / 'metrics.json'
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({
            'config': config, 'parameters': 7, 'seconds': 1.5,
            'metrics': dict(validation), 'test': {'users': 3, **test},
            'history': [{'step': 1}], 'provenance': {
                'commit': 'abcdef0123456789', 'changed': False, 'seed': seed,
                'config_digest': provenance.config_digest(config),
                'options': {}, 'pytorch': '2.9', 'device': 'a GPU',
                'date': '2026-12-01T00:00:00+00:00', **said}}))

    def keep(self, data_set='ml-1m'):
        return keep.keep(keep.read_sweep(self.folder / 'sweep'), data_set,
                         self.results)

    def write(self, path, text):
        path = self.results / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class SamplesTest(Results):

    def figures(self, hit, ndcg, **kinds):
        return {'hit@10': hit, 'ndcg@10': ndcg,
                'standard errors': {'hit@10': .3, 'ndcg@10': .1}, **kinds}

    def test_draws_of_a_kind_are_one_row_of_all_their_users(self):
        for draw, seed, users, hit in ((1, 1, 30, .4), (1, 2, 30, .6),
                                       (2, 1, 10, .9)):
            self.sweep(f'groceries {draw}', seed, {
                'users': users, 'popularity': self.figures(.9, .1),
                'recent popularity': self.figures(.1, .1),
                'own counts': self.figures(.4, .3),
                'own decayed counts': self.figures(.3, .2),
                'model, dot term': self.figures(0, 0),
                'model, all terms': self.figures(hit, .4, repeat={
                    'users': 10, **self.figures(hit, .4)})})
        self.keep('samples')
        lines = samples.by_sample(self.results).splitlines()
        self.assertIn('groceries (2 samples, 40 users) | own counts | '
                      '.400 ± .237 / .300 ± .079 | - | - |', lines[2])
        self.assertIn('| model (1 to 2 seeds) | .600 ± .237 / .400 ± .079 | '
                      '.700 ± .212 / .400 ± .071 | - |', lines[3])
        self.assertIn('3 runs of commit', lines[-1])

    def test_a_model_of_the_dot_term_alone_is_ranked_by_it(self):
        self.sweep('films 1', 1, {'users': 4, **{
            name: self.figures(.1, .1) for name in samples.SIMPLE},
                                  TERMS: self.figures(.2, .2)})
        self.keep('samples')
        self.assertIn('| model (1 seed) | .200 ± .300 /',
                      samples.by_sample(self.results))


class KeepTest(Results):

    def test_what_is_kept_is_small_and_says_where_it_is_from(self):
        self.sweep('qla', 2, {TERMS: {'hit@10': .3}}, {TERMS: {'hit@10': .4}})
        [path] = self.keep()
        self.assertEqual(path, self.results / 'ml-1m/qla/2.json')
        kept = json.loads(path.read_text())
        self.assertNotIn('history', kept)
        self.assertEqual(kept['provenance']['commit'], 'abcdef0123456789')
        result = store.read('ml-1m', self.results)['qla'].results[2]
        self.assertEqual(result.test, {'users': 3, TERMS: {'hit@10': .3}})
        self.assertEqual(result.validation, {TERMS: {'hit@10': .4}})
        self.assertEqual((result.parameters, result.seconds), (7, 1.5))

    def test_new_results_take_the_place_of_old_ones_with_their_summary(self):
        self.write('ml-1m/qla/summary.json', '{}')
        self.write('ml-1m/qla/3.json', '{}')
        self.write('ml-1m/other/1.json', '{}')
        self.sweep('qla', 1, {})
        self.keep()
        self.assertEqual(sorted(path.name for path in
                                self.results.glob('ml-1m/*/*')),
                         ['1.json', '1.json'])

    def test_changed_code_and_unknown_commits_are_refused_unless_forced(self):
        self.sweep('a', 1, {}, changed=True)
        self.sweep('b', 1, {}, commit='unknown', changed=None)
        runs = keep.read_sweep(self.folder / 'sweep')
        self.assertEqual(keep.objections(runs), [
            'a/1: the code was not that of its commit',
            'b/1: its commit is unknown'])

    def test_seeds_of_several_configurations_are_refused(self):
        self.sweep('a', 1, {})
        self.sweep('a', 2, {}, options={'final': True})
        self.sweep('b', 1, {})
        self.sweep('b', 2, {})
        runs = keep.read_sweep(self.folder / 'sweep')
        self.assertEqual(keep.mixtures(runs),
                         ['a: its seeds are of several configurations'])

    def test_a_length_that_refit_chose_is_no_other_configuration(self):
        for name, options in (('a', {'refit': True}), ('b', {})):
            for seed in (1, 2):
                self.sweep(name, seed, {}, steps=100 * seed, options=options)
        runs = keep.read_sweep(self.folder / 'sweep')
        self.assertEqual(keep.mixtures(runs),
                         ['b: its seeds are of several configurations'])

    def test_what_was_measured_without_provenance_is_refused(self):
        path = self.folder / 'sweep/a/1/metrics.json'
        path.parent.mkdir(parents=True)
        path.write_text('{"metrics": {}}')
        with self.assertRaisesRegex(ValueError, r'a/1/metrics\.json: nothing '
                                    'says which commit'):
            keep.read_sweep(self.folder / 'sweep')

    def test_a_config_that_is_not_that_of_the_digest_is_refused(self):
        self.sweep('a', 1, {}, config_digest='0')
        with self.assertRaisesRegex(ValueError, 'not that of config_digest'):
            keep.read_sweep(self.folder / 'sweep')

    def test_the_command_refuses_by_name(self):
        self.sweep('a', 1, {}, changed=True)
        with unittest.mock.patch('sys.stderr') as stderr:
            status = command.main(['keep', '--runs', str(
                self.folder / 'sweep'), '--data-set', 'ml-1m'])
        self.assertEqual(status, 1)
        self.assertIn('a/1', ''.join(
            call.args[0] for call in stderr.write.call_args_list))


class TableTest(Results):

    def made(self, *rows, part='test', columns=(
            table.Column('HR@10', '{ranking}.hit@10'),)):
        return table.markdown(table.Table(
            'ml-1m', 'model', columns, rows, 'make it', part), self.results)

    def test_a_cell_is_mean_deviation_and_number_of_seeds(self):
        for seed, hits in ((1, .33), (2, .34), (3, .35)):
            self.sweep('qla', seed, {TERMS: {'hit@10': hits}})
        self.keep()
        lines = self.made(table.Row('QLA', 'qla')).splitlines()
        self.assertEqual(lines[:3], ['| model | HR@10 |', '|---|---|',
                                     '| QLA | .3400 ± .0100 (3) |'])
        self.assertEqual(lines[4], '<sub>3 runs of commit `abcdef0123`, a GPU,'
                         ' PyTorch 2.9.</sub>')

    def test_of_one_seed_no_deviation_is_told(self):
        self.assertEqual(figures.text(store.Figure(.25)), '.2500 (1)')
        self.assertEqual(figures.text(store.Figure(1.00449, .0005, 0), 3),
                         '1.004 ± .001')
        self.assertEqual(figures.text(None), '-')

    def test_a_row_without_results_is_left_out(self):
        self.sweep('qla', 1, {TERMS: {'hit@10': .3}})
        self.keep()
        made = self.made(table.Row('QLA', 'qla'),
                         table.Row('QLA, masked', 'qla, masked'),
                         table.Given('published', ('.2',)))
        self.assertNotIn('masked', made)
        self.assertIn('| published | .2 |', made)

    def test_a_table_without_results_says_what_makes_it(self):
        self.assertEqual(
            self.made(table.Row('QLA', 'qla'), table.Given('x', ('.2',))),
            '<sub>No run is kept: `make it` trains them.</sub>')

    def test_a_carried_figure_says_so(self):
        said = {'commit': store.CARRIED, 'device': 'a GPU'}
        self.write('ml-1m/qla/summary.json', json.dumps({
            'format': 1, 'provenance': said, 'seeds': 3,
            'test': {TERMS: {'hit@10': [.3, .002]}}}))
        made = self.made(table.Row('QLA', 'qla'))
        self.assertIn('| QLA | .3000 ± .0020 (3) |', made)
        self.assertIn(f'3 runs from {store.CARRIED}', made)

    def test_a_mean_is_kept_by_seed_from_now_on(self):
        self.write('ml-1m/qla/summary.json', json.dumps({
            'format': 1, 'provenance': {'commit': 'abc'}, 'seeds': 3}))
        with self.assertRaisesRegex(ValueError, 'summary.json: raw metrics'):
            store.read('ml-1m', self.results)

    def test_changed_code_and_said_commits_are_marked(self):
        self.sweep('a', 1, {TERMS: {'hit@10': .3}}, changed=True)
        self.sweep('b', 1, {TERMS: {'hit@10': .3}}, commit_given=True)
        self.keep()
        made = self.made(table.Row('A', 'a'), table.Row('B', 'b'))
        self.assertIn('`abcdef0123+`, a GPU', made)
        self.assertIn('`abcdef0123` (as was said, without git), a GPU', made)

    def test_of_several_runs_the_one_that_validates_best_is_shown(self):
        def click(auc, ne):
            return {'is_click': {'auc': auc, 'ne': ne}}
        # Whose test figures are worse.
        self.sweep('.1', 1, click(.9, .1), click(.5, .90))
        self.sweep('.2', 1, click(.7, .3), click(.5, .88))
        self.keep()
        made = self.made(table.Row('DIN', one_of=('.1', '.2', '.3')),
                         columns=(table.Column('AUC', 'is_click.auc'),))
        self.assertIn('| DIN | .7000 (1) |', made)
        self.assertIn('DIN is ".2", the best on the validation part', made)
        self.assertIn('<sub>1 run of', made)

    def test_a_row_can_be_of_one_run_a_task(self):
        for name, auc in (('is_click', .7), ('is_like', .8)):
            self.sweep(f'off, {name}', 1, {name: {'auc': auc}})
        self.keep()
        made = self.made(
            table.Row('off', 'off, {task}'), columns=tuple(
                table.Column(name, f'{name}.auc')
                for name in ('is_click', 'is_like')))
        self.assertIn('| off | .7000 (1) | .8000 (1) |', made)


class AttentionTest(Results):

    def test_mechanisms_are_read_as_they_were_trained(self):
        rows = {TERMS: {'hit@10': .1, 'ndcg@10': .1}}
        rows |= {f'{TERMS}, last {events} events': {
            'hit@10': hits, 'ndcg@10': .2} for events, hits in (
                (200, .2), (1000, .3))}
        for name in ('qla', 'softmax'):
            self.sweep(name, 1, rows)
        self.keep('attention-ml-1m')
        lines = attention.one_configuration(self.results).splitlines()
        self.assertEqual(lines[0],
                         '| attention | ML-1M HR@10 | ML-1M NDCG@10 |')
        self.assertIn('| softmax | .2000 (1) | .2000 (1) |', lines)
        self.assertIn('| QLA | .1000 (1) | .1000 (1) |', lines)
        self.assertIn('| gated delta rule | - | - |', lines)
        made = attention.by_history(self.results)
        self.assertIn('| attention | HR@10, last 200 | HR@10, last 1,000 | '
                      'HR@10, all |', made)
        self.assertIn('| QLA | .2000 (1) | .3000 (1) | .1000 (1) |', made)

    def test_data_sets_without_results_have_no_columns(self):
        self.sweep('qla', 1, {'is_click': {'auc': .75, 'ne': .85}})
        self.keep('attention-kuairand')
        made = attention.one_configuration(self.results)
        self.assertIn('| QLA | .7500 (1) | .8500 (1) |', made)
        self.assertNotIn('ML-1M', made)
        # Impressions are scored with all events before them.
        self.assertIn('No run is kept', attention.by_history(self.results))

    def test_every_mechanism_of_the_list_of_runs_has_a_row(self):
        text = (ROOT / 'trainer/configs/attention_runs.toml').read_text()
        self.assertEqual(set(re.findall(r'^name = "(\w+)"', text, re.M)),
                         set(attention.MECHANISMS))


if __name__ == '__main__':
    unittest.main()
