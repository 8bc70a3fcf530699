"""Registries: what modules of a package add themselves, so that a new one of a kind is one new module."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Registry(Generic[Item]):
    """Items of one kind, in the order of the modules of a package that call `add`; imported when first asked for."""

    def __init__(self, package: str) -> None:
        self._package, self._items, self._is_complete = package, list[Item](), False

    def add(self, item: Item) -> Item:
        """Register an item; decorates classes and functions, too."""
        self._items.append(item)
        return item

    def items(self) -> tuple[Item, ...]:
        if not self._is_complete:
            self._is_complete = True
            for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__):
                importlib.import_module(f"{self._package}.{module.name}")
        return tuple(self._items)
