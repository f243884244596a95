"""Rankings without a model, made in the most obvious way, for a few users.

`python tests/baselines/brute_force.py` writes scenario.json anew.
"""

import json
import pathlib
import random

PATH = pathlib.Path(__file__).with_name('scenario.json')
DAY_US = 86_400_000_000
CUT_US = 1_600_000_000 * 1_000_000
HALF_LIFE_DAYS = 45.5
ITEMS = [*range(100, 128), 0, 2 ** 63 + 1]
LENGTH = 12


def events(rng):
    """[user, item, microseconds] in order of time. Baskets, and few items, so
    that counts and times tie often; nobody buys in some months."""
    found = []
    for user in range(15):
        favourites = rng.sample(ITEMS, 4)
        for _ in range(rng.randint(1, 9)):
            when = CUT_US - rng.randint(1, 150 * 86_400) * 1_000_000
            for _ in range(rng.randint(1, 5)):
                found.append([f'user {user}', rng.choice(
                    favourites if rng.random() < .6 else ITEMS[:12]), when])
    # On the edges of the last 30 days.
    found += [['edge', ITEMS[20], CUT_US - 30 * DAY_US],
              ['edge', ITEMS[21], CUT_US - 30 * DAY_US - 1],
              ['edge', ITEMS[22], CUT_US - 1]]
    return sorted(found, key=lambda event: event[2])


def by(score, history, items):
    """Items by a score, then popularity, then id."""
    popularity = [item for _, item, _ in history]
    return sorted(items, key=lambda item: (-score(item),
                                           -popularity.count(item), item))


def rankings(history):
    """{name: ranking of all users, or {user: ranking}}; the first LENGTH."""
    items = {item for _, item, _ in history}

    def count(chosen):
        return lambda item: sum(event[1] == item for event in chosen)
    result = {
        'popularity': by(count(history), history, items)[:LENGTH],
        'recent popularity': by(count(
            [event for event in history if event[2] >= CUT_US - 30 * DAY_US]),
            history, items)[:LENGTH],
        'own counts': {}, 'own decayed counts': {}}
    for user in {user for user, _, _ in history}:
        own = [event for event in history if event[0] == user]
        newest = own[-1][2]

        def decayed(item):
            return sum(2. ** ((when - newest) / (HALF_LIFE_DAYS * DAY_US))
                       for _, other, when in own if other == item)
        for name, score in (('own counts', count(own)),
                            ('own decayed counts', decayed)):
            result[name][user] = by(score, history, items)[:LENGTH]
    return result


def scenario():
    history = events(random.Random(1))
    return {'cut_us': CUT_US, 'half_life_days': HALF_LIFE_DAYS,
            'history': history, 'rankings': rankings(history)}


def text():
    found = scenario()
    rows = ',\n'.join(map(json.dumps, found.pop('history')))
    return (json.dumps(found, indent=None, sort_keys=True)[:-1] +
            f', "history": [\n{rows}\n]}}\n')


if __name__ == '__main__':
    PATH.write_text(text())
