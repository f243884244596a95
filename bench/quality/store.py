"""Results on disk: what trainings measured, and where it came from.

    RESULTS/DATA SET/RUN/SEED.json

holds the metrics of a run with one seed, of the validation and the test part,
with its config and provenance (trainer/provenance.py). `keep` writes them.

Figures that are older than that have a provenance whose commit is CARRIED.
Where only their mean is known, and maybe their deviation, they stand in
RUN/summary.json as [mean, deviation or null], and count for as many seeds as
that says. A summary is more exact than rounded seeds beside it.
"""

import dataclasses
import json
import pathlib
import statistics

FORMAT = 1
RESULTS = pathlib.Path(__file__).parent / 'results'
CARRIED = 'before raw metrics were kept'
PARTS = ('validation', 'test')
_SUMMARY = 'summary.json'


@dataclasses.dataclass(frozen=True)
class Figure:
    """Of several seeds; 0 where something was counted and not trained.
    deviation: of a sample; None of one seed, or where nobody knows it."""
    mean: float
    deviation: float = None
    seeds: int = 1


@dataclasses.dataclass(frozen=True)
class Result:
    """Of one seed. validation, test: as metrics.json has them, {} without.
    config: None of what is counted and not trained."""
    provenance: dict
    config: dict = None
    parameters: int = None
    seconds: float = None
    validation: dict = dataclasses.field(default_factory=dict)
    test: dict = dataclasses.field(default_factory=dict)

    @property
    def counted(self):
        """Whether nothing was trained, so that there are no seeds."""
        return self.provenance.get('counted', False)


@dataclasses.dataclass(frozen=True)
class Summary:
    """Of `seeds` seeds; validation, test: {row: {measure: [mean, deviation]}}.
    """
    provenance: dict
    seeds: int
    validation: dict = dataclasses.field(default_factory=dict)
    test: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Run:
    """One configuration. results: {seed: Result}."""
    name: str
    results: dict
    summary: Summary = None

    def provenances(self):
        """One a training."""
        found = [self.results[seed].provenance for seed in sorted(self.results)]
        if self.summary and not found:
            found = [self.summary.provenance] * self.summary.seeds
        return found

    def figure(self, part, key):
        """The Figure of 'row.measure', such as 'model, dot term.hit@10'; None
        where no seed has it."""
        if self.summary and (found := _of(self.summary, part, key)):
            return Figure(*found, self.summary.seeds)
        values = [value for result in self.results.values()
                  if (value := _of(result, part, key)) is not None]
        if not values:
            return None
        deviation = statistics.stdev(values) if len(values) > 1 else None
        counted = all(result.counted for result in self.results.values())
        return Figure(statistics.mean(values), deviation,
                      0 if counted else len(values))

    def rows(self, part):
        """The names of what a part has measures of."""
        of_all = [*self.results.values(), *filter(None, [self.summary])]
        return list(dict.fromkeys(
            row for one in of_all for row, measures
            in getattr(one, part).items() if isinstance(measures, dict)))


def _of(one, part, key):
    found = getattr(one, part)
    for name in key.split('.'):
        found = found.get(name) if isinstance(found, dict) else None
    return None if isinstance(found, dict) else found


def write(path, result):
    """JSON with a line for each row of a part: what changed can be read in a
    diff."""
    values = {'format': FORMAT, **{
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
        if getattr(result, field.name) not in (None, {})}}
    lines = []
    for name, value in values.items():
        text = json.dumps(value)
        if name in PARTS:
            text = '{\n' + ',\n'.join(
                f'  {json.dumps(row)}: {json.dumps(measures)}'
                for row, measures in value.items()) + '}'
        lines.append(f' {json.dumps(name)}: {text}')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{\n' + ',\n'.join(lines) + '}\n')


def _read(path, kind):
    try:
        values = json.loads(path.read_text())
        if values.pop('format') != FORMAT:
            raise ValueError(f'its format is not {FORMAT}')
        found = kind(**values)
        if kind is Summary and found.provenance['commit'] != CARRIED:
            raise ValueError('raw metrics are kept by seed')
        if kind is Result and str(found.provenance['seed']) != path.stem:
            raise ValueError(f'its seed is {found.provenance["seed"]}')
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: {error}') from error


def read_run(folder):
    """The Run of a folder; ValueError names a file that is no result."""
    summary = folder / _SUMMARY
    return Run(folder.name, {
        int(path.stem): _read(path, Result)
        for path in sorted(folder.glob('*.json')) if path.name != _SUMMARY},
               _read(summary, Summary) if summary.exists() else None)


def read(data_set, results=RESULTS):
    """{name: Run} of a data set; {} when nothing is kept of it."""
    folder = results / data_set
    if not folder.is_dir():
        return {}
    return {own.name: read_run(own) for own in sorted(folder.iterdir())
            if own.is_dir()}
