"""Makes `import bench` and `import trainer` work wherever pytest starts."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
