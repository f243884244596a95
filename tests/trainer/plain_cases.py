"""What trainer/evaluate.py, candidate_features.py and baselines.py make of a
whole data set, said plainly: user by user, and with an array for each step."""

import numpy as np

from trainer import buckets

_DAY_US = 86_400_000_000


def cases(data, cut_us, every_moment=False):
    """{field of cases.Cases: value} at a cut."""
    asked = []
    for user in range(len(data.users)):
        begin, end = data.offsets[user:user + 2]
        times = data.times_us[begin:end]
        split = int(np.searchsorted(times, cut_us))
        first = [at for at in range(split, len(times))
                 if at == split or times[at] != times[at - 1]]
        if not every_moment:
            first = first[:1 if split else 0]
        asked += [(user, begin + at, at) for at in first if at > 0]
    targets = []
    for user, at, _ in asked:
        times = data.times_us[at:data.offsets[user + 1]]
        stop = at + int((times == times[0]).sum())
        targets.append(at + np.unique(data.items[at:stop],
                                      return_index=True)[1])
    return _fields(data, asked, targets, data.times_us < cut_us)


def last_cases(data):
    """The same of leave-one-out."""
    asked = [(user, end - 1, end - 1 - begin) for user, (begin, end) in
             enumerate(zip(data.offsets[:-1], data.offsets[1:]))
             if end - begin > 1]
    return _fields(data, asked, [np.array([at]) for _, at, _ in asked],
                   data.is_before_last(1))


def _fields(data, asked, targets, known):
    users, at, lengths = np.array(asked, int).reshape(-1, 3).T
    old = set(data.items[known].tolist())
    seconds = buckets.seconds_between(data.times_us[at - 1], data.times_us[at])
    return {
        'users': data.users[users], 'starts': at - lengths, 'lengths': lengths,
        'nexts': buckets.gap_bucket(seconds), 'known': known,
        'contexts': data.context_rows[at], 'targets': targets,
        'baskets': [data.rows[events] for events in targets],
        'repeats': [np.isin(data.items[events], data.items[begin:end])
                    for begin, end, events in zip(at - lengths, at, targets)],
        'new': [np.array([int(item) not in old for item in
                          data.items[events]]) for events in targets]}


def features_of_items(data, known):
    """candidate_features.of_items."""
    order = np.flatnonzero(known)
    order = order[np.argsort(data.times_us[order], kind='stable')]
    means = data.candidate_features[order].sum(0, dtype=np.float64) / max(
        1, len(order))
    features = np.tile(means.astype(np.float32), (len(data.item_ids) + 1, 1))
    for event in order:
        if data.rows[event]:
            features[data.rows[event]] = data.candidate_features[event]
    is_items = np.isin(data.column_names['candidate_features'],
                       data.column_names['item_features'])
    features[:, is_items] = data.item_features
    return features


def rankings(data, found, length, half_life_us, recent_us):
    """{name: item ids of each case, best first} of baselines.Baselines."""
    def counted(events):
        ids, counts = np.unique(data.items[events], return_counts=True)
        return dict(zip(ids.tolist(), counts.tolist()))
    everybody = counted(found.known)
    popular = sorted(everybody, key=lambda item: (-everybody[item], item))
    result = {}

    def add(name, ids):
        result.setdefault(name, []).append(ids[:length])
    for start, size in zip(found.starts, found.lengths):
        own = data.items[start:start + size].tolist()
        unseen = [item for item in popular if item not in own]
        if found.exclude_seen:
            add('popularity', unseen)
            continue
        lately = counted(found.known & (data.times_us >=
                                        found.cut_us - recent_us))
        add('popularity', popular)
        add('recent popularity', sorted(popular, key=lambda item: (
            -lately.get(item, 0), popular.index(item))))
        times_us = data.times_us[start:start + size].tolist()
        for name, weights in (
                ('own counts', [1.] * len(own)),
                ('own decayed counts', [2. ** (-(times_us[-1] - time_us) /
                                               half_life_us)
                                        for time_us in times_us])):
            scores = {}
            for item, weight in zip(own, weights):
                scores[item] = scores.get(item, 0.) + weight
            add(name, sorted(scores, key=lambda item: (
                -scores[item], -everybody.get(item, 0), item)) + unseen)
    return result
