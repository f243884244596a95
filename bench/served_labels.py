"""Predictions of labels through the served path, beside the trainer's own.

The command line asks a server about every event that is held out and has a
label, from the state before its moment, as trainer/click_evaluation.py does
offline. Scores are held to each other event by event.
"""

import csv
import dataclasses
import math
import pathlib

from bench import served_comparison

# Logits are equal if they differ by no more: of float32, by other sums.
LOGIT_TOLERANCE = 1e-4
MEASURES = ('labels', 'rate', 'auc', 'ne', 'calibration')


@dataclasses.dataclass
class Labels:
    """Of all labelled events that are held out.

    report: what the command line says of a run; None offline. tasks: {task:
    {measure: value}}. events: {user: [(item, labels, logits)]}, each user's in
    order of time; labels and logits are {task: value}, of the labels there are.
    """
    report: dict
    tasks: dict
    events: dict

    def num_events(self):
        return sum(map(len, self.events.values()))


def columns(config):
    """{task: column of its labels} of a config's model, in the model's order.
    """
    return {task.name: config.data.labels[task.name]
            for task in config.model.tasks if task.name in config.data.labels}


def only(config):
    """Whether nothing is there that would rank the catalogue: as `train` has
    it, every task has labels, and what is held out is not each last event."""
    return (len(columns(config)) == len(config.model.tasks) and
            config.data.split != 'last')


def served(server, bundle, config, files, options, work, progress=False):
    """The Labels of a server that holds a served_files.Files' history.

    options: the command line's, of the files; work: a folder.
    """
    scores = pathlib.Path(work) / 'scores.csv'
    how = (['--heldout', files.labelled] if files.heldout else
           ['--leave-last-out'])
    if config.data.equal_times == 'order':
        how += ['--equal-times', 'order']
    report = server.cli_json(
        '--timeout', 60, 'evaluate', '--history',
        files.history if files.heldout else files.labelled, *how, *options,
        '--bundle', bundle, '--labels', ','.join(
            '='.join(pair) for pair in columns(config).items()),
        '--scores', scores, progress=progress, timeout=36_000)
    tasks = {task: {measure: math.nan if value is None else value
                    for measure, value in report['tasks'][task].items()}
             for task in columns(config)}
    return Labels(report, tasks, _read(scores, columns(config)))


def _read(path, tasks):
    """{user: [(item, labels, logits)]} of a file that --scores wrote."""
    events = {}
    with open(path, newline='') as file:
        for row in csv.DictReader(file):
            known = [task for task in tasks if row[f'{task} label']]
            events.setdefault(row['user'], []).append((
                int(row['item']),
                {task: int(row[f'{task} label']) for task in known},
                {task: float(row[f'{task} logit']) for task in known}))
    return events


def offline(tensors, config, folder):
    """The Labels of the trainer, on the CPU, in the bundle's float32."""
    import torch
    from trainer import click_evaluation, dataset, parts
    data, config = dataset.open_data(folder, config)
    data = data.with_catalogue(tensors['item_ids'])
    held_out = (~data.is_before_last(1) if config.data.split == 'last' else
                data.times_us >= parts.held_out_from(config, data))
    params = {name: torch.from_numpy(array) for name, array in tensors.items()
              if name != 'item_ids'}
    indices, logits, labels = click_evaluation.Evaluation(
        data, held_out).each(config.model, params)
    names = [task.name for task in config.model.tasks]
    events = {}
    of_event = data.offsets.searchsorted(indices, side='right') - 1
    for at, (index, user) in enumerate(zip(indices, of_event)):
        known = [(task, name) for task, name in enumerate(names)
                 if not math.isnan(labels[at, task])]
        events.setdefault(str(data.users[user]), []).append((
            int(data.items[index]),
            {name: int(labels[at, task]) for task, name in known},
            {name: float(logits[at, task]) for task, name in known}))
    return Labels(None, _figures(names, logits, labels), events)


def _figures(names, logits, labels):
    """{task: {measure: value}} of tasks with labels, not rounded."""
    from trainer import click_metrics
    tasks = {}
    for task, name in enumerate(names):
        known = labels[:, task] == labels[:, task]
        if not known.any():
            continue
        of_task = labels[known, task].astype(float), logits[known, task]
        tasks[name] = dict(zip(MEASURES, (
            int(known.sum()), float(of_task[0].mean()),
            click_metrics.auc(*of_task),
            click_metrics.normalised_entropy(*of_task),
            click_metrics.calibration(*of_task))))
    return tasks


def figure_disagreements(one, other):
    """Lines that say where two Labels' figures differ in the fourth decimal;
    [] if nowhere. Tasks without a label have none."""
    lines = []
    for task in one.tasks | other.tasks:
        rows = [labels.tasks.get(task, {'labels': 0})
                for labels in (one, other)]
        if rows[0]['labels'] != rows[1]['labels']:
            lines.append(f'{task}: {rows[0]["labels"]:,} labels were served, '
                         f'{rows[1]["labels"]:,} scored offline')
        elif rows[0]['labels']:
            for measure in MEASURES[1:]:
                if not _agree(*(row[measure] for row in rows)):
                    lines.append(
                        f'{task}: {measure} is {rows[0][measure]:.6f} served '
                        f'and {rows[1][measure]:.6f} offline')
    return lines


def _agree(one, other):
    """Also where neither is defined: with labels that are all equal, say."""
    return (math.isnan(one) and math.isnan(other) or
            abs(one - other) < served_comparison.TOLERANCE)


@dataclasses.dataclass
class Comparison:
    """Of two Labels' events: how many there are, how many of them have equal
    logits, by how much any differs at most, and lines that say which events
    are not the same ones, or of whom the first logit differs."""
    events: int
    equal: int
    largest: float
    lines: list

    def text(self):
        return (f'{self.equal:,} of {self.events:,} events with labels have '
                f'the same logits served and offline, to {LOGIT_TOLERANCE:g}; '
                f'they differ by {self.largest:.1e} at most')


def compare(served, offline):
    """The Comparison of Labels."""
    result = Comparison(offline.num_events(), 0, 0., [])
    for user in served.events | offline.events:
        ours, theirs = (labels.events.get(user, [])
                        for labels in (served, offline))
        if [event[:2] for event in map(tuple, ours)] != [
                event[:2] for event in map(tuple, theirs)]:
            result.lines.append(f'user {user}: {len(ours)} events with labels '
                                f'were served, {len(theirs)} scored offline, '
                                'and they are not the same ones')
            continue
        differ = [max(abs(logits[task] - other[task]) for task in logits)
                  for (_, _, logits), (_, _, other) in zip(ours, theirs)]
        result.equal += sum(by <= LOGIT_TOLERANCE for by in differ)
        result.largest = max(result.largest, *differ)
        if max(differ) > LOGIT_TOLERANCE:
            at = differ.index(max(differ))
            result.lines.append(
                f'user {user}: event {at + 1} of {len(ours)}, item '
                f'{ours[at][0]}: {ours[at][2]} served and {theirs[at][2]} '
                'offline')
    return result


def disagreements(served, offline, most=10):
    """All of the above; at most so many lines of events."""
    lines = compare(served, offline).lines
    more = [f'{len(lines) - most:,} more users differ'
            ] if len(lines) > most else []
    return figure_disagreements(served, offline) + lines[:most] + more


def losses(served, exact):
    """{'task measure': relative change} of a lower precision, AUC and NE."""
    return {f'{task} {measure}': row[measure] / exact.tasks[task][measure] - 1
            for task, row in served.tasks.items() if row['labels']
            for measure in ('auc', 'ne')
            if not math.isnan(exact.tasks[task][measure])}
