"""Samples are parts of the data: every user in one draw, cut at one time."""

import pandas as pd

from bench import samples


def test_draws_share_the_users_and_split_their_events_in_time(tmp_path):
    events = pd.DataFrame([
        (user, 10 * user + at, samples.SAMPLES['groceries'].cut + at)
        for user in range(200) for at in (-5, -1, 0, 7)],
        columns=samples.COLUMNS)
    found = samples.write('groceries', events, range(10), tmp_path)
    assert [path.name for path in found] == [f'groceries {draw}'
                                             for draw in range(10)]
    cut = samples.SAMPLES['groceries'].cut
    parts = {name: pd.concat(pd.read_csv(path / name) for path in found)
             for name in ('train.csv', 'later.csv')}
    assert parts['train.csv']['time'].max() < cut
    assert parts['later.csv']['time'].min() == cut
    together = pd.concat(parts.values())
    assert sorted(map(tuple, together.values)) == (
        sorted(map(tuple, events.values)))
    users = [set(pd.read_csv(path / 'train.csv')['user']) for path in found]
    assert sum(map(len, users)) == 200 and len(set.union(*users)) == 200
    assert min(map(len, users)) > 5
    config = (next(iter(found)) / 'config.toml').read_text()
    assert 'time_unit = "s"' in config


def test_kinds_and_clips_are_made_of_what_the_folders_have(tmp_path):
    (tmp_path / 'items.csv').write_text(
        'item,type\n7,milk\n8,bread\n9,milk\n10,\n')
    for name in ('train', 'heldout'):
        (tmp_path / f'{name}.csv').write_text(
            'user,item,action,time\n1,9,purchase,5\n1,7,purchase,6\n'
            '2,8,purchase,6\n2,99,purchase,8\n')
    kinds = samples.events_of('kinds', tmp_path)
    assert kinds['item'].tolist() == 2 * [1, 1, 2]
    (tmp_path / 'events.csv').write_text(
        'user,item,action,time\n1,9,clicked,9\n1,7,skipped,6\n2,8,earlier,6\n')
    clips = samples.events_of('clips', tmp_path)
    assert clips[['item', 'time']].values.tolist() == [[8, 6], [9, 9]]
