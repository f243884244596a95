"""What is served, held to what the trainer computes: figures and places."""

# Figures agree to 4 decimals if they differ by less.
TOLERANCE = .5e-4


def offline_figures(metrics):
    """The metrics of the whole model, as a server computes it."""
    return metrics.get('model, all terms') or metrics['model, dot term']


def _flat(row):
    """{measure: value}: of the parts of a row too, and standard errors. Not
    how many moments a part is of: a server is asked at one of each user."""
    return {f'{part} {measure}'.strip(): value
            for part, values in {'': row, **row}.items()
            if isinstance(values, dict) for measure, value in
            (_flat(values) if part else values).items()
            if isinstance(value, (int, float)) and measure != 'moments'}


def disagreements(served, offline, users):
    """Lines that say where served and offline figures differ; [] if nowhere.

    served, offline: {measure: value}, parts of them as in
    trainer/ranking_metrics.py; users: of each.
    """
    served, offline = _flat(served), _flat(offline)
    lines = []
    if users[0] != users[1]:
        lines.append(f'{users[0]:,} users were served, {users[1]:,} ranked '
                     'offline')
    for measure, value in offline.items():
        if not abs(served[measure] - value) < TOLERANCE:
            lines.append(f'{measure} is {served[measure]:.6f} served and '
                         f'{value:.6f} offline')
    return lines


def baseline_disagreements(evaluated, metrics):
    """Lines that say where the command line's baselines and the trainer's
    differ; [] if nowhere."""
    from trainer import baselines
    users = evaluated['users'], metrics['users']
    return [f'{name}: {line}' for name in baselines.NAMES if name in metrics
            for line in disagreements(evaluated[name], metrics[name], users)]


def losses(served, exact):
    """{measure: relative change} of a lower precision, hit@10 and ndcg@10.

    served, exact: {measure: value} in it and in f32.
    """
    return {measure: served[measure] / exact[measure] - 1
            for measure in ('hit@10', 'ndcg@10')}


def moved(served, offline):
    """{user: by how many places} of users whose first item to find stands
    elsewhere in the other ranking; None: it, or the user, is in one only.

    served, offline: {user: place in the whole catalogue, 0 if not ranked}.
    """
    found = {}
    for user in served.keys() | offline.keys():
        one, other = served.get(user, 0), offline.get(user, 0)
        if user not in served or user not in offline or (
                one != other and 0 in (one, other)):
            found[user] = None
        elif one != other:
            found[user] = abs(one - other)
    return found


def places_line(served, offline):
    """What moved() gives, for people to read."""
    found = moved(served, offline)
    users = len(served.keys() | offline.keys())
    line = (f'{users - len(found):,} of {users:,} users have the same rank '
            'served and offline, in the whole catalogue')
    steps = [step for step in found.values() if step is not None]
    if steps:
        line += f'; {len(steps):,} differ, by {max(steps):,} at most'
    if len(steps) < len(found):
        line += f'; {len(found) - len(steps):,} are ranked in one alone'
    return line
