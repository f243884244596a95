"""The section [training] of a config file: how to train."""

import dataclasses
import typing

# The length of a training that gives neither steps nor epochs.
DEFAULT_EPOCHS = 60


@dataclasses.dataclass(frozen=True)
class Training:
    """How to train. `train` chooses what a file leaves open by the data
    (trainer/recipe.py); the defaults here are for configs made in code."""
    # How long: so many steps, or so many passes over the users, of which one
    # is given at most; neither: 60 epochs. 0 keeps the initial model.
    steps: typing.Optional[int] = None
    epochs: typing.Optional[int] = None
    # Of initial weights, batches, dropout and negatives.
    seed: int = 1
    # AdamW's, at its highest; it rises for this share of the steps, then falls
    # along a cosine.
    learning_rate: float = 1e-3
    warmup_share: float = .05
    # AdamW's, of matrices only.
    weight_decay: float = .01
    # Of tokens, and of what each half of a layer adds.
    dropout: float = .3
    # Gradients that are longer, all together, are shortened to this.
    gradient_norm: float = 1.0
    # Events a step, padding included, and events a sample at most.
    batch_events: int = 16_384
    window: int = 1_024
    # Samples a step at most, however short.
    batch_samples: int = 64
    # The model that is kept is the running mean of the weights, which keeps
    # this share of itself in a step (less in the first); 0: the last weights.
    average_decay: float = 0.999
    # Share of the events whose item the model does not see (row 0): they are
    # still to be predicted.
    unseen_share: float = 0.0
    # Loss of predicting the second, third ... next event from an event, as
    # weights beside 1 for the next one.
    later_weights: tuple = ()
    # The dot term's softmax is over the whole catalogue up to so many items;
    # beyond, it is over this many negatives, which a step's positions share
    # (trainer/dot_loss.py), and only the rows that a step looks up are trained
    # in it (trainer/sparse_rows.py).
    full_softmax_items: int = 200_000
    dot_negatives: int = 4_096
    # Share of a target of the dot term that is spread over the catalogue.
    label_smoothing: float = 0.1
    # Share of samples that are random windows of a history, not its end, and
    # windows of one user in an epoch at most: a history that is longer than a
    # window has as many as would cover it.
    random_windows: float = .5
    windows_per_user: int = 1
    # Standard deviation of the items' initial embeddings.
    item_init_std: float = .02
    # Share of the items that a step knows by their content alone, where the
    # model has item attributes or numbers.
    content_only_share: float = .2
    # By what the dot term multiplies a cosine at first. The less, the longer a
    # model ranks by popularity, which items' biases know from the start.
    dot_scale: float = 10.0
    # The share of the dot term's logits, as its own loss has them, that counts
    # in a score beside the target-aware term at first; it is learned unless it
    # is 1. The dot term says much of a whole catalogue, and little of the order
    # of the few items that a user has again and again.
    dot_share: float = 1.0
    # The target-aware term of tasks without labels begins as the decayed counts
    # of the item memory (trainer/initial.py).
    starts_from_counts: bool = False
    # Of what a model began as, the share in the weights that are kept: between
    # a good start and what few data teach lies a model that is better than
    # either (Wortsman et al. 2022, arXiv 2109.01903).
    start_share: float = 0.0
    # Let the validation part choose start_share (trainer/start_share.py).
    choose_start_share: bool = False
    # Layers begin as averages of the history (trainer/models.py).
    average_start: bool = False
    # Weight of predicting the next moment's items from the event before it,
    # and of predicting an item from one of the same moment (a basket).
    next_moment_weight: float = 1.0
    same_moment_weight: float = 1.0
    # Share of the latter that a step looks at, drawn anew: they are many.
    same_moment_share: float = 1.0
    # Events with other actions are history but nothing to predict; () is all.
    target_actions: tuple = ()
    # The target-aware term: its weight in the loss (0: not trained), moments
    # sampled from each sample, positives of a moment at most, and negatives.
    target_aware_weight: float = 1.0
    moments: int = 8
    positives: int = 16
    negatives: int = 384
    # Shares of the negatives drawn by popularity and from the user's own
    # history; the rest is uniform. All are corrected by their log probability.
    popular_share: float = .33
    history_share: float = .33
    # A moment of n items weighs n^power in the target-aware loss. 0 counts every
    # moment alike, so that small baskets decide which item is first; .5 is about
    # how NDCG@10 counts them.
    moment_size_power: float = 0.0
    # What comes after a gap weighs the gap's seconds^power (trainer/waiting.py).
    waiting_power: float = 0.0
    # Item biases know what was popular in so many last days of the training
    # events (trainer/recent.py); 0: over all of them.
    recent_days: float = 0.0
    # Weight of rebuilding the history from the seeds' summaries (0: off), and
    # the events that are rebuilt at most.
    reconstruction_weight: float = 0.0
    reconstruction_window: int = 64
    # The validation part that `train` cuts off: the last share of the training
    # events (0: none), and so many moments at most: users' first ones, drawn at
    # random where there are more, and where there are fewer, further ones of
    # the same users, too. Where the last event but one is to be found, or
    # labels, so many users.
    validation_share: float = 0.1
    validation_moments: int = 1_000
    # Training stops when so many validations in a row were no better than one
    # before them (0: never). The model that is kept is that of the best.
    patience: int = 5

    def __post_init__(self):
        if self.steps is not None and self.epochs is not None:
            raise ValueError(
                f'training.steps is {self.steps} and training.epochs is '
                f'{self.epochs}; give one of them')
        for name in ('steps', 'epochs'):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f'training.{name} is {getattr(self, name)}; '
                                 'it must be at least 0')
        for name in ('windows_per_user', 'dot_negatives',
                     'validation_moments'):
            if getattr(self, name) < 1:
                raise ValueError(f'training.{name} is {getattr(self, name)}; '
                                 'it must be at least 1')
        for name in ('dot_scale', 'dot_share'):
            if not getattr(self, name) > 0:
                raise ValueError(f'training.{name} is {getattr(self, name)}; '
                                 'it must be more than 0')
        if self.choose_start_share and self.start_share:
            raise ValueError(
                f'training.start_share is {self.start_share:g}, and '
                'training.choose_start_share asks for another; give one')
        for name in ('start_share', 'validation_share'):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f'training.{name} is {getattr(self, name)}; '
                                 'it must be 0 or more and less than 1')

    @property
    def num_epochs(self):
        """Passes over the users, where steps are not given."""
        return DEFAULT_EPOCHS if self.epochs is None else self.epochs
