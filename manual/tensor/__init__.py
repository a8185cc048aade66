"""What stands between layers: arithmetic, reductions, products, indices and shapes, in a namespace of their own.

    from manual import tensor

    y, backward = tensor.add(x, y)

So `sum` and `max` shadow nothing. This is the table of contents; each chapter says in its `__all__` what it offers.
"""

from manual.layers.rearrange import flatten as flatten
from manual.tensor.arithmetic import *
from manual.tensor.arranging import *
from manual.tensor.choosing import *
from manual.tensor.elementary import *
from manual.tensor.indexing import *
from manual.tensor.joining import *
from manual.tensor.ordering import *
from manual.tensor.products import *
from manual.tensor.reductions import *
from manual.tensor.shapes import *

__all__ = sorted(name for name, thing in vars().items() if getattr(thing, "__module__", "").startswith("manual."))
