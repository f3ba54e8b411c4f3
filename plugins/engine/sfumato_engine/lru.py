"""A small store of what was used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class LeastRecentlyUsed(Generic[Value]):
    """Keeps up to `capacity` values and drops the one not used for longest; 0 keeps none."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._entries: OrderedDict[Hashable, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def values(self) -> list[Value]:
        """What is kept, the least recently used first."""
        return list(self._entries.values())

    def drop(self, unwanted: Callable[[Value], bool]) -> int:
        """Drop the values that are unwanted; returns how many."""
        keys = [key for key, value in self._entries.items() if unwanted(value)]
        for key in keys:
            del self._entries[key]
        return len(keys)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of that key, made when it is not there.

        Room is made first: two large values never stand in memory only because one is about to go.
        """
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        while self._entries and len(self._entries) >= self.capacity:
            self._entries.popitem(last=False)
        value = make()
        if self.capacity:
            self._entries[key] = value
        return value
