"""model.textproto: a ModelSpec message to and from Hyper."""

import hashlib
import pathlib

from google.protobuf import text_format

from trainer import hyper as hyper_lib
from trainer import spec_schema as pb

_HEADER = ('# proto-file: proto/qlarank/model/v1/model_spec.proto\n'
           '# proto-message: qlarank.model.v1.ModelSpec\n')
_DIGEST = '# sha256 of what is above: '


def to_message(hyper):
    """A ModelSpec with the hyper-parameters; digests and names are not set."""
    message = pb.ModelSpec(
        format_version=1, d_model=hyper.d_model, num_heads=hyper.num_heads,
        num_layers=hyper.num_layers, ffn_width=hyper.ffn_width,
        conv_width=hyper.conv_width, phi2=pb.Phi2.Value(hyper.phi2),
        target_aware=pb.TargetAware.Value(hyper.target_aware),
        head_width=hyper.head_width, num_seeds=hyper.num_seeds,
        summary_attention=hyper.summary_attention,
        initial_half_lives=hyper.initial_half_lives, actions=hyper.actions,
        event_features=hyper.event_feature_names,
        candidate_features=hyper.candidate_feature_names)
    for field in ('event', 'candidate'):
        for part in hyper_lib.categories(getattr(hyper, f'{field}_features')):
            getattr(message, f'{field}_categories').add(
                name=part.name, separator=part.separator, values=part.values,
                hash_buckets=part.hashed)
    if hyper.item_memory:
        message.item_memory.entries = hyper.item_memory.entries
        message.item_memory.half_lives_s.extend(
            hyper.item_memory.half_lives_s)
    for attribute in hyper.item_attributes:
        message.item_attributes.add(name=attribute.name,
                                    separator=attribute.separator,
                                    values=attribute.values)
    for number in hyper.item_numbers:
        message.item_numbers.add(name=number.name, mean=number.mean,
                                 scale=number.scale)
    for feature in hyper.context_features:
        message.context_features.add(
            name=feature.name, values=feature.values,
            boundaries=feature.boundaries, default_value=feature.default)
    for task in hyper.tasks:
        message.tasks.add(name=task.name, dot_term=task.dot_term,
                          value_weight=task.value_weight)
    return message


def to_hyper(message):
    """The inverse of to_message; raises ValueError as Hyper does."""
    return hyper_lib.Hyper(
        d_model=message.d_model, num_heads=message.num_heads,
        num_layers=message.num_layers, ffn_width=message.ffn_width,
        conv_width=message.conv_width, phi2=pb.Phi2.Name(message.phi2),
        target_aware=pb.TargetAware.Name(message.target_aware),
        head_width=message.head_width, num_seeds=message.num_seeds,
        summary_attention=message.summary_attention,
        item_memory=_item_memory(message),
        initial_half_lives=tuple(message.initial_half_lives),
        actions=tuple(message.actions),
        event_features=_features(message, 'event'),
        candidate_features=_features(message, 'candidate'),
        context_features=tuple(
            hyper_lib.ContextFeature(
                feature.name, tuple(feature.values),
                tuple(feature.boundaries), default=feature.default_value)
            for feature in message.context_features),
        item_attributes=tuple(
            hyper_lib.ItemAttribute(attribute.name, attribute.separator,
                                    tuple(attribute.values))
            for attribute in message.item_attributes),
        item_numbers=tuple(
            hyper_lib.ItemNumber(number.name, number.mean, number.scale)
            for number in message.item_numbers),
        tasks=tuple(
            hyper_lib.Task(task.name, task.dot_term, task.value_weight)
            for task in message.tasks))


def _features(message, kind):
    """Numbers, then Categories. Raises ValueError where their features are not
    the last that the message lists."""
    field = f'{kind}_features'
    names = tuple(getattr(message, field))
    categories = tuple(
        hyper_lib.Category(part.name, part.separator, tuple(part.values),
                           hashed=part.hash_buckets)
        for part in getattr(message, f'{kind}_categories'))
    indicators = hyper_lib.feature_names(categories)
    if not all(part.indicators for part in categories) or (
            names[max(0, len(names) - len(indicators)):] != indicators):
        raise ValueError(f'{field} is {names!r}; it must end with what '
                         f'{kind}_categories have: {indicators!r}')
    return names[:len(names) - len(indicators)] + categories


def _item_memory(message):
    if not message.HasField('item_memory'):
        return None
    return hyper_lib.ItemMemory(message.item_memory.entries,
                                tuple(message.item_memory.half_lives_s))


def write(message, path):
    """Writes a ModelSpec as textproto, with a digest of it as its last line."""
    text = _HEADER + text_format.MessageToString(message)
    text += f'{_DIGEST}{hashlib.sha256(text.encode()).hexdigest()}\n'
    pathlib.Path(path).write_text(text, encoding='utf-8')


def read(path):
    """Reads a ModelSpec. Raises ValueError naming the file when malformed."""
    text = pathlib.Path(path).read_text(encoding='utf-8')
    above, digest, given = text.rpartition(_DIGEST)
    found = hashlib.sha256(above.encode()).hexdigest()
    if digest and given != f'{found}\n':
        raise ValueError(f'{path}: SHA-256 of what is above the last line is '
                         f'{found}, but that line says {given.strip()}')
    try:
        return text_format.Parse(text, pb.ModelSpec())
    except text_format.ParseError as error:
        raise ValueError(f'{path}: {error}') from error
