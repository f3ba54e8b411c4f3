"""The lists of what the model learns."""

from __future__ import annotations

from training.concepts import kept, names, vocabulary, weight
from training.data import Concept


def concept(label: str, subgroup: int = 42, group: int = 4) -> Concept:
    return Concept("1f34e", label, (), group, subgroup)


def test_the_usual_name_comes_first() -> None:
    assert names(concept("automobile"))[0] == "car"
    assert names(concept("see-no-evil monkey"))[0] == "monkey covering its eyes"
    assert names(concept("hot dog")) == ("hot dog",)


def test_people_and_dropped_drawings_are_left_out() -> None:
    assert kept(concept("red apple"))
    assert not kept(concept("green apple"))
    assert not kept(concept("firefighter", subgroup=25, group=1))
    assert kept(concept("thumbs up", subgroup=19, group=1))


def test_no_name_stands_for_two_emoji() -> None:
    known = [name for names in vocabulary().everyday.values() for name in names]
    assert len(known) == len(set(known))


def test_lists_do_not_contradict_each_other() -> None:
    lists = vocabulary()
    assert not lists.dropped & (lists.extra | lists.common | set(lists.everyday))
    assert weight("red apple") > weight("tamale")
