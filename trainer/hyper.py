"""Hyper-parameters of a model: what docs/model.md calls its symbols."""

import dataclasses

from trainer import mechanisms

PHI2_IDENTITY = 'PHI2_IDENTITY'
PHI2_SILU = 'PHI2_SILU'

OFF = 'TARGET_AWARE_OFF'
ALL_LAYERS = 'TARGET_AWARE_ALL_LAYERS'
DEDICATED_BLOCK = 'TARGET_AWARE_DEDICATED_BLOCK'

# Models without a trunk, which trainer/peers.py describes.
DIN = 'DIN'
STATELESS = 'STATELESS'
PEERS = ('', DIN, STATELESS)

NUM_BUCKETS = 32
MAX_SEEDS = 1024
MAX_MEMORY_ENTRIES = 1024
MAX_HALF_LIVES = 8
MAX_HALF_LIFE_S = 2 ** 40
# Of one category. Each is a float of every event in the log.
MAX_INDICATORS = 1024
# What does not count around a value.
BLANKS = ' \t\n\v\f\r'

_DAY_S = 86_400


@dataclasses.dataclass(frozen=True)
class Task:
    """One output; the order of tasks is the order of a score row."""
    name: str
    dot_term: bool = True
    value_weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class ContextFeature:
    """A feature of the request, a column of the events or of data.users.

    values: value k has table row k + 1. boundaries, of a number: rising; row 1
    is below all of them. buckets: so many, with boundaries from the data.
    Without any of these, the values are the data's. default: what a request
    that does not name it is taken to say.
    """
    name: str
    values: tuple = ()
    boundaries: tuple = ()
    buckets: int = 0
    default: str = ''

    def __post_init__(self):
        where = f'context_features.{self.name}'
        given = [bool(self.values), bool(self.boundaries), bool(self.buckets)]
        _require(sum(given) <= 1, where, (self.values, self.boundaries,
                                          self.buckets),
                 'one of values, boundaries and buckets')
        _require(self.buckets == 0 or 2 <= self.buckets <= 10_000,
                 f'{where}.buckets', self.buckets, '2 to 10,000')
        _require(all(a < b for a, b in zip(self.boundaries,
                                           self.boundaries[1:])),
                 f'{where}.boundaries', self.boundaries, 'rising numbers')

    @property
    def num_rows(self):
        """Rows of its table, with that of what is missing or unknown."""
        return 1 + (len(self.boundaries) + 1 if self.boundaries else
                    len(self.values))


@dataclasses.dataclass(frozen=True)
class Category:
    """A category: a column of texts, each of whose values is a feature of 0 or
    1.

    A name alone stands for a column of numbers.
    """
    name: str
    # What stands between several values in a cell; "": a cell is one value.
    separator: str = ''
    # Which they are. (): those of the data that min_count training events have
    # (or items, where it is a column of the item table), the most frequent
    # first, max_values of them at most.
    values: tuple = ()
    min_count: int = 5
    max_values: int = 64
    # In place of values: so many features, each of which many values share.
    hashed: int = 0

    def __post_init__(self):
        _require(self.name and '\n' not in self.name, 'name of a category',
                 self.name, 'a text without line breaks')
        _require(not (self.values and self.hashed), f'{self.name}.hashed',
                 self.hashed, '0 beside values')
        for field, least, most in (('hashed', 0, MAX_INDICATORS),
                                   ('min_count', 1, 10 ** 9),
                                   ('max_values', 1, MAX_INDICATORS)):
            value = getattr(self, field)
            _require(isinstance(value, int) and least <= value <= most,
                     f'{self.name}.{field}', value,
                     f'a whole number, {least} to {most:,}')
        _require(len(self.values) <= MAX_INDICATORS, f'{self.name}.values',
                 f'{len(self.values)} values', f'at most {MAX_INDICATORS}')
        for value in self.values:
            _require(isinstance(value, str) and value and '\n' not in value and
                     value == value.strip(BLANKS) and
                     self.values.count(value) == 1, f'{self.name}.values',
                     value, 'a text that is there once, without blanks around '
                     'it or line breaks in it')

    @property
    def indicators(self):
        """The names of its features; () while its values are not known."""
        if self.hashed:
            return tuple(f'{self.name}#{k}' for k in range(self.hashed))
        return tuple(f'{self.name}={value}' for value in self.values)


def numbers(features):
    """The names of the features that are numbers."""
    return tuple(feature for feature in features if isinstance(feature, str))


def categories(features):
    """Those that are Categories."""
    return tuple(feature for feature in features
                 if isinstance(feature, Category))


def column_names(features):
    """The names of their columns, in their order."""
    return tuple(feature if isinstance(feature, str) else feature.name
                 for feature in features)


def feature_names(features):
    """What a model has of them, each a float: numbers, then indicators."""
    return numbers(features) + tuple(
        name for part in categories(features) for name in part.indicators)


@dataclasses.dataclass(frozen=True)
class ItemAttribute:
    """A column of the item table: an item has one of its values, or several.

    separator: what stands between several in a cell; '': a cell is one value.
    values: (): those of the data.
    """
    name: str
    separator: str = ''
    values: tuple = ()


@dataclasses.dataclass(frozen=True)
class ItemNumber:
    """A column of the item table that counts as (number - mean) / scale.

    mean: None: that of the data, and so is scale.
    """
    name: str
    mean: float = None
    scale: float = 1.

    def __post_init__(self):
        _require(self.scale > 0, f'item_numbers.{self.name}.scale', self.scale,
                 'above 0')


@dataclasses.dataclass(frozen=True)
class ItemMemory:
    """Exact facts of some of a user's items (docs/model.md, section 11).

    entries: of how many items; half_lives_s: whole seconds, rising, for
    decayed counts, the last of which decides which item has to leave.
    """
    entries: int = 128
    half_lives_s: tuple = (7 * _DAY_S, 21 * _DAY_S, 60 * _DAY_S, 180 * _DAY_S)

    def __post_init__(self):
        _require(self.entries % 8 == 0 and
                 8 <= self.entries <= MAX_MEMORY_ENTRIES,
                 'item_memory.entries', self.entries,
                 f'a multiple of 8, 8 to {MAX_MEMORY_ENTRIES}')
        lives = self.half_lives_s
        _require(1 <= len(lives) <= MAX_HALF_LIVES and
                 all(isinstance(life, int) and 1 <= life <= MAX_HALF_LIFE_S
                     for life in lives) and
                 all(a < b for a, b in zip(lives, lives[1:])),
                 'item_memory.half_lives_s', lives,
                 f'1 to {MAX_HALF_LIVES} whole numbers of seconds, rising, '
                 f'each 1 to {MAX_HALF_LIFE_S}')

    @property
    def num_facts(self):
        """J: facts of a candidate."""
        return 4 + 2 * len(self.half_lives_s)


@dataclasses.dataclass(frozen=True)
class Hyper:
    """Shapes and switches of a model. `train` chooses what a file leaves open
    (trainer/recipe.py); the defaults here are for configs made in code.

    Raises ValueError, naming the field and its value, when they cannot
    describe a model of docs/model.md.
    """
    # Width of a token, heads of a layer, layers, width inside a feed-forward
    # part, and events that a layer's convolution sees (1: none).
    d_model: int = 64
    num_heads: int = 4
    num_layers: int = 8
    ffn_width: int = 128
    conv_width: int = 4
    # QLA, or another of docs/attention.md: those are for comparing with, and
    # cannot be exported.
    attention: str = mechanisms.QLA
    # A model of trainer/peers.py in place of the layers, likewise.
    peer: str = ''
    # Without it tokens do not know when the next event or the request is;
    # for comparing with, too.
    request_time: bool = True
    # Between the state and a query: PHI2_IDENTITY or PHI2_SILU.
    phi2: str = PHI2_IDENTITY
    # How candidates read the state: TARGET_AWARE_DEDICATED_BLOCK (a layer of
    # their own), TARGET_AWARE_ALL_LAYERS, or TARGET_AWARE_OFF (a dot product
    # with the user alone); and the width of the head behind that (0: off).
    target_aware: str = DEDICATED_BLOCK
    head_width: int = 64
    # Virtual seeds, whose summaries stand for the user (0: none), and whether
    # candidates attend to those summaries.
    num_seeds: int = 0
    summary_attention: bool = False
    # Exact facts of a user's items, see below; false: the state has none.
    item_memory: ItemMemory = None
    # In events; 0 stands for no decay. One a head.
    initial_half_lives: tuple = (1.0, 4.0, 16.0, 1000.0)
    # (): those of the data, the most frequent first.
    actions: tuple = ()
    # Columns of numbers and of texts: of events, and of candidates; see below.
    event_features: tuple = ()
    candidate_features: tuple = ()
    # What a request says beside its candidates; see below.
    context_features: tuple = ()
    # Columns of data.catalogue that make rows for items which nobody had yet
    # (docs/model.md, section 12).
    item_attributes: tuple = ()
    item_numbers: tuple = ()
    # What is predicted; see below.
    tasks: tuple = (Task('next'),)

    def __post_init__(self):
        for name in ('d_model', 'num_heads', 'num_layers', 'ffn_width',
                     'conv_width'):
            _require(getattr(self, name) >= 1, name, getattr(self, name),
                     'at least 1')
        _require(self.d_model % (8 * self.num_heads) == 0, 'd_model',
                 self.d_model, f'a multiple of 8 * num_heads = '
                 f'{8 * self.num_heads}')
        _require(self.phi2 in (PHI2_IDENTITY, PHI2_SILU), 'phi2', self.phi2,
                 f'{PHI2_IDENTITY} or {PHI2_SILU}')
        _require(self.attention in mechanisms.ALL, 'attention',
                 self.attention, 'one of ' + ', '.join(mechanisms.ALL))
        _require(self.attention in mechanisms.WITH_SEEDS or
                 self.phi2 == PHI2_IDENTITY, 'phi2', self.phi2,
                 f'{PHI2_IDENTITY} with {self.attention}')
        _require(self.target_aware in (OFF, ALL_LAYERS, DEDICATED_BLOCK),
                 'target_aware', self.target_aware,
                 f'{OFF}, {ALL_LAYERS} or {DEDICATED_BLOCK}')
        _require(self.peer in PEERS, 'peer', self.peer,
                 'one of ' + ', '.join(map(repr, PEERS)))
        _require(not self.peer or self.target_aware == ALL_LAYERS and
                 not self.any_dot_term, 'peer', self.peer,
                 f"'' unless with {ALL_LAYERS} and without dot terms")
        _require(len(self.initial_half_lives) == self.num_heads,
                 'initial_half_lives', self.initial_half_lives,
                 f'one number for each of {self.num_heads} heads')
        _require(len(self.tasks) >= 1, 'tasks', self.tasks, 'not empty')
        for field in ('event_features', 'candidate_features'):
            features = getattr(self, field)
            for found in (column_names(features),
                          feature_names(features)):
                twice = _twice(found)
                _require(twice is None, field, twice,
                         'a name that is there once')
        self._check_seeds()
        names = [part.name for part in (*self.item_attributes,
                                        *self.item_numbers)]
        for name in names:
            _require(names.count(name) == 1 and name != 'numbers',
                     'item_attributes', name,
                     'a column that is named once, and not "numbers"')
        _require(self.item_memory is None or
                 self.target_aware != OFF and not self.peer, 'item_memory',
                 self.item_memory, 'absent unless candidates read the state')
        if self.target_aware == OFF:
            for name in ('candidate_features', 'context_features',
                         'head_width', 'summary_attention'):
                _require(not getattr(self, name), name, getattr(self, name),
                         f'empty, 0 or false with {OFF}')
            for task in self.tasks:
                _require(task.dot_term, f'tasks.{task.name}.dot_term', False,
                         f'true with {OFF}: nothing else scores candidates')
        else:
            _require(self.head_width >= 1, 'head_width', self.head_width,
                     f'at least 1 with {self.target_aware}')

    def _check_seeds(self):
        _require(self.num_seeds % 8 == 0 and
                 0 <= self.num_seeds <= MAX_SEEDS, 'num_seeds',
                 self.num_seeds, f'a multiple of 8, at most {MAX_SEEDS}')
        if not self.num_seeds:
            _require(not self.summary_attention, 'summary_attention',
                     self.summary_attention, 'false without seeds')
        else:
            _require(self.attention in mechanisms.WITH_SEEDS and
                     not self.peer, 'num_seeds', self.num_seeds,
                     f'0 with {self.peer or self.attention}')
        _require(self.attention != mechanisms.SEEDS_ONLY or
                 self.summary_attention, 'summary_attention',
                 self.summary_attention, f'true with {self.attention}')

    @property
    def head_dim(self):
        """d_h: the width of one head."""
        return self.d_model // self.num_heads

    @property
    def num_state_layers(self):
        """L': layers that hold Z and c, the dedicated block included."""
        return self.num_layers + (self.target_aware == DEDICATED_BLOCK)

    @property
    def event_feature_names(self):
        return feature_names(self.event_features)

    @property
    def candidate_feature_names(self):
        return feature_names(self.candidate_features)

    @property
    def has_content(self):
        """Whether items have rows from what the item table says of them."""
        return bool(self.item_attributes or self.item_numbers)

    @property
    def tells_candidates_user(self):
        """Whether u is part of a candidate's token."""
        return not self.peer and self.attention != mechanisms.SEEDS_ONLY

    @property
    def any_dot_term(self):
        return any(task.dot_term for task in self.tasks)

    def unservable(self):
        """Why a server has no such model; '' if it has."""
        if self.attention != mechanisms.QLA:
            return (f'attention is {self.attention}; only {mechanisms.QLA} '
                    'has a fixed-size state to serve')
        if self.peer:
            return f'peer is {self.peer}; it has no state to serve'
        if not self.request_time:
            return 'request_time is false; a server always knows the time'
        return ''

    def state_floats(self):
        """Floats of a user's Z, c and window (docs/model.md, section 5)."""
        per_head = self.head_dim ** 2 + 1
        return (self.num_state_layers * self.num_heads * per_head +
                self.num_layers * (self.conv_width - 1) * self.d_model)

    def to_dict(self):
        return dataclasses.asdict(self)


def from_dict(values):
    """Builds a Hyper from TOML or JSON. Unknown keys raise ValueError."""
    values = dict(values)
    known = {field.name for field in dataclasses.fields(Hyper)}
    for name in values:
        _require(name in known, 'model', name,
                 'one of ' + ', '.join(sorted(known)))
    for name in ('initial_half_lives', 'actions'):
        if name in values:
            values[name] = tuple(values[name])
    for name in ('event_features', 'candidate_features'):
        if name in values:
            values[name] = tuple(
                part if isinstance(part, str)
                else _named(Category, part, f'model.{name}')
                for part in values[name])
    if values.get('item_memory') is False:  # TOML has no word for None.
        values['item_memory'] = None
    if values.get('item_memory') is not None:
        memory = dict(values['item_memory'])
        known = {field.name for field in dataclasses.fields(ItemMemory)}
        for name in memory:
            _require(name in known, 'model.item_memory', name,
                     'one of ' + ', '.join(sorted(known)))
        if 'half_lives_s' in memory:
            memory['half_lives_s'] = tuple(memory['half_lives_s'])
        values['item_memory'] = ItemMemory(**memory)
    for name, kind in (('context_features', ContextFeature),
                       ('item_attributes', ItemAttribute),
                       ('item_numbers', ItemNumber)):
        if name in values:
            values[name] = tuple(_named(kind, part, f'model.{name}')
                                 for part in values[name])
    if 'tasks' in values:
        values['tasks'] = tuple(Task(**task) for task in values['tasks'])
    return Hyper(**values)


def _named(kind, value, where):
    """A kind of column, given its name or a table of its fields."""
    if isinstance(value, str):
        return kind(value)
    known = {field.name for field in dataclasses.fields(kind)}
    for name in value:
        _require(name in known, where, name,
                 'one of ' + ', '.join(sorted(known)))
    return kind(**{name: tuple(part) if isinstance(part, list) else part
                   for name, part in value.items()})


def _twice(names):
    """The first name that was there before; None if all differ."""
    seen = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _require(condition, name, value, what):
    if not condition:
        raise ValueError(f'{name} is {value!r}; it must be {what}')
