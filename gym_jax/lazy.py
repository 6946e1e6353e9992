"""Packages whose names are resolved on first use, so that who needs one part does not load the others."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class _Lazy(ModuleType):
    """A package in which a name may be that of a function and of the module that it is in: it means the function."""

    homes: Mapping[str, str]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.homes or not isinstance(value, ModuleType):  # as importing such a module would set it
            super().__setattr__(name, value)


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package, with the module in which each name of it is."""
    module = sys.modules[package]
    module.__dict__["homes"] = homes
    module.__class__ = _Lazy

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(module, name, value)
        return value

    return find
