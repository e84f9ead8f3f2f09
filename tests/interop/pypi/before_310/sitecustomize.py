"""For packages of before Python 3.10, on a newer one: the names that it took out of 'collections', which they import from there."""
import collections
import collections.abc

for name in ("Mapping", "MutableMapping", "Sequence"):
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))
