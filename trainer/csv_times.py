"""The time of an event as a CSV file has it, by the rules of cli/event_time.h.

A time that another unit explains better is refused, not taken for what it
says: it would put an event into another century, silently.
"""

import datetime
import re

import numpy as np

from trainer import config as config_lib

_UNITS = config_lib.TIME_UNITS
# Where the times of events lie that anybody has kept: 1990 to 2099.
_PLAUSIBLE_US = (631_152_000_000_000, 4_102_444_800_000_000)
_YEAR_US = 31_556_952_000_000
# What a time can be: years 1 to 9999.
_FIRST_US = -62_135_596_800_000_000
_LAST_US = 253_402_300_799_999_999
_EXAMPLE_S = '1511200980'
_EXAMPLE_DATE = '2017-11-20T18:03:00Z'

_NUMBER = re.compile(r'-?[0-9]{1,18}(\.[0-9]*)?')
_NANOSECONDS = re.compile(r'[0-9]{19}(\.[0-9]*)?')
_EXPONENT = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+')
_DECIMAL_COMMA = re.compile('[+-]?[0-9]+,[0-9]+')
_ZONE = '([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])'
_RFC3339 = re.compile(
    '[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-5][0-9]'
    rf'(\.[0-9]+)?{_ZONE}')
# Dates that people write otherwise.
_CLOCK = (r'([Tt ]([0-9]{1,2}):([0-9]{2})(:[0-9]{2}(\.[0-9]+)?)?'
          rf'{_ZONE}?)?')
_DAY_LAST = re.compile('([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})' + _CLOCK)
_YEAR_LAST = re.compile('([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})' + _CLOCK)


def microseconds(texts, unit):
    """(times, error) of texts: microseconds since 1970, what is below them
    cut off; and None, or (index, problem) of the first text that is no time,
    and then there are times of those before it only."""
    times = _of_digits(texts, unit)
    if times is not None:
        return times, None
    times = []
    for text in texts:
        try:
            times.append(_microseconds(text, unit))
        except ValueError as error:
            return np.array(times, np.int64), (len(times), str(error))
    return np.array(times, np.int64), None


def of_numbers(values, unit):
    """Microseconds of a masked array of numbers; None where their texts have
    to be looked at: not all are whole and plausible."""
    if unit == 'rfc3339' or np.ma.is_masked(values) or not len(values):
        return None
    values = values.data
    first, last = (us // _UNITS[unit] for us in _PLAUSIBLE_US)
    if values.min() < first or values.max() >= last:
        return None
    counts = values.astype(np.int64)
    return counts * _UNITS[unit] if (counts == values).all() else None


def of_datetimes(values, unit):
    """(times, error) as of microseconds(), of a masked array of datetime64.

    unit: that of times that are none, which an empty cell is said not to be.
    """
    per_us = {'ns': 1_000}.get(np.datetime_data(values.dtype)[0], 1)
    us = {'s': 1_000_000, 'ms': 1_000}.get(
        np.datetime_data(values.dtype)[0], 1)
    counts = values.data.astype(np.int64)
    good = ((counts >= _FIRST_US * per_us // us) &
            (counts <= ((_LAST_US + 1) * per_us - 1) // us))
    bad = np.flatnonzero(np.ma.getmaskarray(values) | ~good)
    if not len(bad):
        return counts * us // per_us, None
    first = int(bad[0])
    problem = 'is outside of the years 1 to 9999'
    if np.ma.getmaskarray(values)[first]:
        _, (_, problem) = microseconds([''], unit)
    return counts[:first] * us // per_us, (first, problem)


def _of_digits(texts, unit):
    """The same, quickly, of plausible whole numbers; None of others."""
    all_of_them = ''.join(texts)
    if unit == 'rfc3339' or '' in texts or max(map(len, texts), default=0) > 18:
        return None
    if not (all_of_them.isascii() and all_of_them.isdecimal()):
        return None
    counts = np.fromiter(map(int, texts), np.int64, len(texts))
    first, last = (us // _UNITS[unit] for us in _PLAUSIBLE_US)
    if counts.min() < first or counts.max() >= last:
        return None
    return counts * _UNITS[unit]


def _microseconds(text, unit):
    """Raises ValueError with what is wrong with a text that is no time."""
    if unit == 'rfc3339':
        time_us = _date(text)
        if time_us is None:
            raise ValueError(_date_problem(text))
    else:
        if not _NUMBER.fullmatch(text):
            raise ValueError(_number_problem(text, unit))
        nanos = _nanoseconds(text, unit)
        _check_unit(text, unit, nanos)
        time_us = nanos // 1_000
    if not _FIRST_US <= time_us <= _LAST_US:
        raise ValueError('is outside of the years 1 to 9999')
    return time_us


def _nanoseconds(text, unit):
    """Of a number; what is below them is cut off."""
    whole, _, fraction = text.removeprefix('-').partition('.')
    digits = len(str(_UNITS[unit] * 1_000)) - 1
    nanos = int(whole + fraction[:digits].ljust(digits, '0'))
    return -nanos if text.startswith('-') else nanos


def _is_plausible(nanos):
    first, last = _PLAUSIBLE_US
    return first * 1_000 <= nanos < last * 1_000


def _year(nanos):
    # The average year will do: what is far away is not told from further away.
    years = abs(nanos) // (_YEAR_US * 1_000)
    return 1970 + (years if nanos >= 0 else -years)


def _option(unit):
    return f'time_unit = "{unit}"'


def _check_unit(text, unit, nanos):
    """Refuses a time that another unit explains better."""
    if _is_plausible(nanos):
        return
    for other in _UNITS:
        as_other = _nanoseconds(text, other)
        if _is_plausible(as_other):
            raise ValueError(
                f'is in the year {_year(nanos)} if it counts {unit}, in '
                f'{_year(as_other)} if it counts {other}: {_option(other)}')


def _number_problem(text, unit):
    """What is wrong with a text that is no number, and what to write."""
    problem = f'is not a number of {unit} since 1970'
    if _NANOSECONDS.fullmatch(text) and _is_plausible(int(text[:19])):
        return (f'is in the year {_year(int(text[:19]))} if it counts '
                'nanoseconds: leave out its last three digits, and '
                f'{_option("us")}')
    if _EXPONENT.fullmatch(text):
        return 'is not a time: write all of its digits'
    if _DECIMAL_COMMA.fullmatch(text):
        return f'{problem}: write a point for the comma'
    if _date(text) is not None:
        return f'is a date, {problem.removeprefix("is ")}: {_option("rfc3339")}'
    written = _rewritten(text)
    if written:
        return (f'is a date, {problem.removeprefix("is ")}: {written}, and '
                f'{_option("rfc3339")}')
    zeros = '0' * (len(str(1_000_000 // _UNITS[unit])) - 1)
    return f'{problem}, such as {_EXAMPLE_S}{zeros}'


def _date_problem(text):
    """What is wrong with a text that is no RFC 3339 time, and what to write."""
    if _NUMBER.fullmatch(text):
        for unit in _UNITS:
            if _is_plausible(_nanoseconds(text, unit)):
                return ('is a number, not an RFC 3339 time: '
                        f'{_option(unit)}')
    written = _rewritten(text)
    if written:
        return f'is not an RFC 3339 time: {written}'
    return f'is not an RFC 3339 time such as {_EXAMPLE_DATE}'


def _rewritten(text):
    """'write ...': a date that is written otherwise; '' of what is none."""
    found = _DAY_LAST.fullmatch(text)
    if found:
        days = [found.group(1, 2, 3)]
    else:
        found = _YEAR_LAST.fullmatch(text)
        if not found:
            return ''
        first, second, year = found.group(1, 2, 3)
        days = [(year, second, first), (year, first, second)]
    hour, minute, second, _, zone = found.group(5, 6, 7, 8, 9)
    clock = (f'{hour or "0":0>2}:{minute or "00"}{second or ":00"}'
             f'{(zone or "Z").upper()}')
    dates = list(dict.fromkeys(f'{year}-{month:0>2}-{day:0>2}T{clock}'
                               for year, month, day in days))
    dates = [date for date in dates if _date(date) is not None]
    if not dates:
        return ''
    return (('it may be two days, ' if len(dates) == 2 else '') + 'write ' +
            ' or '.join(dates) + ('' if zone else ' (if it is UTC)'))


def _date(text):
    """Microseconds of an RFC 3339 time; None if it is none."""
    if not _RFC3339.fullmatch(text):
        return None
    zone = '+00:00' if text[-1] in 'Zz' else text[-6:]
    fraction = text[19:].rstrip('Zz').split('+')[0].split('-')[0]
    try:
        whole = datetime.datetime.fromisoformat(f'{text[:10]}T{text[11:19]}'
                                                f'{zone}')
    except ValueError:
        return None
    since = whole - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return since // datetime.timedelta(microseconds=1) + int(
        fraction.removeprefix('.')[:6].ljust(6, '0'))
