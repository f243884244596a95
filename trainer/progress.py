"""The progress of training, for people."""

from trainer import metric_tables
from trainer import report

try:
    from tqdm import tqdm
except ImportError:  # Only the progress bar is lost.
    tqdm = None


class Progress:
    """A bar over all steps, and a line for every validation."""

    def __init__(self, total, quiet):
        """total: steps. quiet: no bar."""
        self._bar = None
        if tqdm is not None and not quiet:
            self._bar = tqdm(total=total, desc='training', unit='step')

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()

    def go_on(self, record, path):
        """An interrupted training's last record, by what a file says."""
        text = (f'going on after step {record["step"]:,} '
                f'(epoch {record["epoch"]:g}), as {path} has it')
        if self._bar is not None:
            self._bar.write(text)
            self._bar.update(record['step'])
        else:
            print(text)

    def counted(self, found):
        """The same batches, with each step that is done told to the bar."""
        for batch in found:
            yield batch
            if self._bar is not None:
                self._bar.update()

    def show(self, record):
        """A round's losses, and its validation if it has one."""
        text = (f'step {record["step"]:,} (epoch {record["epoch"]:g}): '
                f'loss {record["dot_loss"]} dot, '
                f'{record["target_aware_loss"]} all terms')
        if record['reconstruction_loss']:
            text += f', {record["reconstruction_loss"]} reconstruction'
        figures = '; '.join(_figures(record.get('validation', {})))
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        if figures:
            write = print if self._bar is None else self._bar.write
            write(f'{text}; {figures}')


def _figures(validation):
    """Texts of the figures that say most, for each kind of rows."""
    found = metric_tables.rows(validation)
    for headline in report.HEADLINES:
        named = [f'{name} ' + ' '.join(metric_tables.figure(row[measure])
                                       for measure in headline)
                 for name, row in found.items() if headline[0] in row]
        if named:
            yield f'{" ".join(headline)}: {", ".join(named)}'
