"""How long a training is, in steps, and when it is too short to learn."""

# Adam moves a weight by about the learning rate in a step at most: at 1e-3 it
# takes a thousand to go as far as initial values are apart.
FEW_STEPS = 1_000
# Adam's second moments are means over some 50 steps (1 / (1 - .98)): steps at
# the full rate before that are as large as a handful of gradients has it.
SHORT_WARM_UP = 50

# Rounds of a training whose length is given in steps.
_ROUNDS = 20


def steps(settings, num_batches):
    """Steps of a whole training; num_batches: of an epoch."""
    if settings.steps is not None:
        return settings.steps
    return settings.num_epochs * num_batches


def round_steps(settings, num_batches):
    """Steps of a round, after which losses are reported: an epoch, or a
    twentieth of training.steps."""
    if settings.steps is not None:
        return max(1, -(-settings.steps // _ROUNDS))
    return num_batches


def warm_up_steps(settings, total):
    """Steps in which the learning rate rises."""
    return max(1, round(settings.warmup_share * total))


def notes(settings, total):
    """Lines for people whose training is likely to be too short."""
    found = []
    if 0 < total < FEW_STEPS:
        found.append(
            f'note: {total:,} steps are few: models learn little in fewer '
            f'than {FEW_STEPS:,}. Train longer (training.steps) or make steps '
            f'smaller (training.batch_events is {settings.batch_events:,}, '
            f'training.batch_samples {settings.batch_samples:,})')
    warm_up = warm_up_steps(settings, total)
    if total and settings.warmup_share > 0 and warm_up < SHORT_WARM_UP:
        found.append(
            f'note: the learning rate rises for {warm_up} '
            f'step{"s" * (warm_up > 1)} '
            f'(training.warmup_share is {settings.warmup_share:g}); fewer than '
            f'{SHORT_WARM_UP} are too short for what Adam estimates')
    return found
