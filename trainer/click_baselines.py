"""Click rates as predictions: what a model of clicks has to beat.

Counted on the training part. How much a rate is smoothed is chosen on the
validation part, for each task on its own.
"""

import numpy as np

from trainer import click_metrics

_STRENGTHS = (1, 2, 5, 10, 20, 50, 100, 200)


def item_logits(rows, labels, strength, num_rows):
    """Logits [N + 1] of items' label rates, smoothed towards the mean.

    rows, labels: [E] of training events. strength: how many events at the
    mean rate an item starts with.
    """
    return _smoothed(rows, labels, strength, labels.mean(), num_rows)


def item_context_logits(rows, context, labels, strength, shape):
    """Logits [N + 1, V] of the rates of items in contexts.

    Smoothed towards what item and context say on their own: the sum of their
    distances from the mean's logit.
    """
    mean = _logit(labels.mean())
    items = item_logits(rows, labels, strength, shape[0])
    contexts = item_logits(context, labels, strength, shape[1])
    prior = 1 / (1 + np.exp(mean - items[:, None] - contexts))
    return _smoothed(rows * shape[1] + context, labels, strength,
                     prior.ravel(), shape[0] * shape[1]).reshape(shape)


def _smoothed(keys, labels, strength, prior, size):
    count = np.bincount(keys, minlength=size)
    total = np.bincount(keys, weights=labels, minlength=size)
    return _logit((total + strength * prior) / (count + strength))


def _logit(rate):
    rate = np.clip(rate, 1e-6, 1 - 1e-6)
    return np.log(rate / (1 - rate))


def evaluate(data, validate_us, test_us, context_index=None):
    """{'metrics', 'test'}: click_metrics.summary of each task of a Dataset.

    context_index: a context feature to count by, or None: items alone.
    """
    sizes = [len(data.item_ids) + 1]
    keys = [data.rows.astype(np.int64)]
    if context_index is not None:
        keys.append(data.context_rows[:, context_index].astype(np.int64))
        sizes.append(int(keys[1].max()) + 1)
    result = {'metrics': {}, 'test': {}}
    for index, task in enumerate(data.column_names['labels']):
        labels = data.labels[:, index]
        known = ~np.isnan(labels)
        parts = {'train': known & (data.times_us < validate_us),
                 'metrics': known & (data.times_us >= validate_us) &
                 (data.times_us < test_us),
                 'test': known & (data.times_us >= test_us)}

        def predict(part, strength):
            train = [key[parts['train']] for key in keys]
            asked = tuple(key[parts[part]] for key in keys)
            known_labels = labels[parts['train']].astype(np.float64)
            if context_index is None:
                table = item_logits(*train, known_labels, strength, *sizes)
            else:
                table = item_context_logits(*train, known_labels, strength,
                                            tuple(sizes))
            return labels[parts[part]].astype(np.float64), table[asked]
        best = min(_STRENGTHS, key=lambda strength: click_metrics.log_loss(
            *predict('metrics', strength)))
        for part, metrics in result.items():
            metrics[task] = click_metrics.summary(*predict(part, best))
            metrics[task]['strength'] = best
    return result
