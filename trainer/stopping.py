"""Which of a training's validations is the best, and when to stop."""

from trainer import metric_tables

# Of a ranking, the terms that a server ranks by.
_RANKINGS = ('model, all terms', 'model, dot term')


def figure(validation):
    """What a validation is compared by, larger is better: NDCG@10 where the
    catalogue is ranked, else the mean NE of the tasks, negated."""
    for name in _RANKINGS:
        if name in validation:
            return validation[name]['ndcg@10']
    found = [row['ne'] for row in metric_tables.rows(validation).values()
             if 'ne' in row]
    return -sum(found) / len(found)


def best(history):
    """The first record of a history with the best validation, or None."""
    points = [record for record in history if 'validation' in record]
    return max(points, key=lambda record: figure(record['validation']),
               default=None)


def is_over(history, patience):
    """Whether the last `patience` validations were no better than one before
    them; patience 0: never."""
    points = [record for record in history if 'validation' in record]
    if not points or not patience:
        return False
    return points.index(best(points)) + patience < len(points)
