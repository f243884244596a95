"""Sweeps run on after a failure, skip what is done, and are tabulated."""

import json

import pytest

from tiny_model import MODEL
from trainer import comparison_commands
from trainer import sweep
from trainer import tables

CONFIG = """
name = "tiny"
[data]
min_item_count = 1
""" + MODEL + """actions = ["buy"]
[training]
epochs = 1
"""
RUNS = """
seeds = [1, 2]
[[runs]]
name = "good"
set = ["training.dropout=0.0"]
[[runs]]
name = "bad"
set = ["model.attention=NOTHING"]
"""


def _files(tmp_path):
    (tmp_path / 'config.toml').write_text(CONFIG)
    (tmp_path / 'runs.toml').write_text(RUNS)
    lines = [f'{user},{item},buy,{item}' for user in range(4)
             for item in range(5)]
    (tmp_path / 'train.csv').write_text('user,item,action,time\n' +
                                        '\n'.join(lines) + '\n')
    return ['--config', str(tmp_path / 'config.toml'), '--data',
            str(tmp_path), '--device', 'cpu']


def test_one_failing_run_stops_no_other_and_none_is_trained_twice(tmp_path):
    arguments = _files(tmp_path)
    runs = sweep.load(tmp_path / 'runs.toml')
    assert [(run.name, run.seed) for run in runs] == [
        ('good', 1), ('bad', 1), ('good', 2), ('bad', 2)]
    lines = []
    out = tmp_path / 'out'
    assert sweep.sweep(runs, arguments, out, 2, 120., lines.append) == 2
    assert sum('trained in' in line for line in lines) == 2
    assert 'attention is' in (out / 'bad/1/log.txt').read_text()
    config = json.loads((out / 'good/2/metrics.json').read_text())['config']
    assert config['training']['seed'] == 2
    assert config['training']['dropout'] == 0
    lines.clear()
    sweep.sweep(runs[:1], arguments, out, 1, 120., lines.append)
    assert lines == ['good/1: is there already']


def test_a_run_that_takes_too_long_is_stopped(tmp_path):
    arguments = _files(tmp_path)
    lines = []
    runs = sweep.load(tmp_path / 'runs.toml', only=['good'])[:1]
    assert sweep.sweep(runs, arguments, tmp_path / 'out', 1, .05,
                       lines.append) == 1
    assert 'stopped after' in lines[0]


@pytest.mark.parametrize('text, message', [
    ('[[runs]]\nname = "a"\n[[runs]]\nname = "a"', "two runs are called 'a'"),
    ('[[runs]]\nname = "a/b"', "name 'a/b'"),
    ('[[runs]]\nname = "a"\nsets = []', "unknown field 'sets'"),
    ('runs = ', 'runs.toml: ')])
def test_a_bad_list_is_refused_by_name(tmp_path, text, message):
    (tmp_path / 'runs.toml').write_text(text)
    with pytest.raises(ValueError, match=message):
        sweep.load(tmp_path / 'runs.toml')


def test_arguments_of_all_runs_come_before_those_of_one(tmp_path):
    (tmp_path / 'runs.toml').write_text(
        'arguments = ["--read", "5"]\n[[runs]]\nname = "a"\n'
        '[[runs]]\nname = "b"\narguments = ["--final"]\n')
    assert [run.arguments for run in sweep.load(tmp_path / 'runs.toml')] == [
        ('--read', '5'), ('--read', '5', '--final')]


def _write(folder, name, seed, auc):
    path = folder / name / str(seed) / 'metrics.json'
    path.parent.mkdir(parents=True)
    bins = [[.1, .12, 5], [.4, .38, 5]]
    path.write_text(json.dumps({
        'parameters': 1_234, 'seconds': 10 * seed, 'metrics': {},
        'test': {'users': 3, 'click': {'auc': auc, 'reliability': bins}}}))


def test_tables_give_mean_and_spread(tmp_path):
    _write(tmp_path, 'a', 1, .6)
    _write(tmp_path, 'a', 2, .62)
    _write(tmp_path, 'b', 1, .5)
    runs = tables.load(tmp_path)
    lines = tables.table(runs, 'test', ['click.auc', 'like.auc'], ['b', 'a'])
    assert lines[0] == ('| run | click auc | like auc | parameters | seconds '
                        '| seeds |')
    assert lines[2:] == ['| b | 0.5000 |  | 1,234 | 10 | 1 |',
                         '| a | 0.6100 ± 0.0141 |  | 1,234 | 15 | 2 |']
    with pytest.raises(ValueError, match="no run is called 'c'"):
        tables.table(runs, 'test', [], ['c'])


def test_a_plot_shows_every_seed_and_the_diagonal(tmp_path, monkeypatch):
    pyplot = pytest.importorskip('matplotlib.pyplot')
    _write(tmp_path, 'a', 1, .6)
    _write(tmp_path, 'a', 2, .62)
    _write(tmp_path, 'b', 1, .5)
    monkeypatch.setattr(pyplot, 'close', lambda figure: None)
    tables.plot_reliability(tables.load(tmp_path), 'test', ['a', 'b'],
                            tmp_path / 'plot.png')
    assert (tmp_path / 'plot.png').read_bytes().startswith(b'\x89PNG')
    (axes,) = pyplot.gcf().axes
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == (
        'click', 'predicted rate', 'observed rate')
    *seeds, diagonal = axes.get_lines()
    for line in seeds:
        assert [tuple(point) for point in line.get_xydata()] == [
            (.1, .12), (.4, .38)]
    assert [line.get_color() for line in seeds] == ['C0', 'C0', 'C1']
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        'a', 'b']
    assert [tuple(point) for point in diagonal.get_xydata()] == [
        (0, 0), (.4, .4)]


def test_columns_of_a_table_may_have_commas_and_kinds():
    runs = {'a': [{'metrics': {'model, all terms': {
        'hit@10': .5, 'repeat': {'hit@10': .75}}}}]}
    columns = comparison_commands.columns(
        'model, all terms.hit@10,model, all terms.repeat.hit@10,like.auc')
    assert tables.table(runs, 'metrics', columns)[2].startswith(
        '| a | 0.5000 | 0.7500 |  |')
