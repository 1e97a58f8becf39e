"""Read in once by a warden, behind its walls: reasoning_gym, without matplotlib, which it needs for nothing that is scored and
which would want a folder to write in.
"""

import importlib.abc
import importlib.machinery
import sys
import types


class Nothing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds an empty module for matplotlib and all in it."""

    def find_spec(self, fullname, path, target=None):
        own = fullname.split(".")[0] in ("matplotlib", "mpl_toolkits")
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True) if own else None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = self.attribute
        return module

    def exec_module(self, module):
        pass

    @staticmethod
    def attribute(name):
        if name.startswith("__"):
            raise AttributeError(name)
        return object


sys.meta_path.insert(0, Nothing())
import reasoning_gym  # noqa: E402, F401
