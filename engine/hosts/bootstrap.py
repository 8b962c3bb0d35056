"""The first file that a child process runs, by its path and under whatever interpreter. It only
makes the named packages importable.

Putting our site-packages on the child's path would give a backend's own environment our numpy in
place of its own; so only the packages themselves are made findable. Arguments: descriptor to read
from, descriptor to write to, and a JSON object {"packages": {name: parent folder}, "path": sys.path
to use or null}.
"""

import importlib.machinery
import json
import sys


class NamedPackages:
    """A finder for a few top-level packages, each in its own place."""

    def __init__(self, places):
        self.places = places

    def find_spec(self, name, path=None, target=None):
        place = self.places.get(name)
        return (
            importlib.machinery.PathFinder.find_spec(name, [place])
            if place and path is None
            else None
        )


if __name__ == "__main__":
    setup = json.loads(sys.argv[3])
    del sys.path[0]
    if setup["path"] is not None:
        sys.path[:] = setup["path"]
    sys.meta_path.insert(0, NamedPackages(setup["packages"]))
    from qs.engine.hosts.child import serve

    serve(int(sys.argv[1]), int(sys.argv[2]))
