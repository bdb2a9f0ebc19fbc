"""Measurements of the package, each run by `python -m benchmarks...` from the checkout.

`python -m` puts the checkout first on the path, where the source folder would hide the built
package, which has the messages. Here it goes last.
"""

import sys
from pathlib import Path

_checkout = str(Path(__file__).resolve().parents[1])
if sys.path[0] == _checkout:
    sys.path.append(sys.path.pop(0))
