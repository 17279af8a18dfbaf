"""What ``from benchmarks import ...`` means in a script of this folder that is run by its path: this folder.

``python benchmarks/faces.py`` looks for modules in the script's folder first, and finds this one; ``python -m
benchmarks.faces`` and the tests find the folder itself. What of the tests a benchmark needs lies beside it.
"""

import sys
from pathlib import Path

__path__ = [str(Path(__file__).parent)]
sys.path.insert(0, str(Path(__file__).parents[1]))
