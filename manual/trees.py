"""Trees: arguments, outputs and gradients are leaves, or tuples, named tuples, lists and dicts of trees."""

from collections.abc import Callable, Iterator
from typing import Any


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same tree with a function of each leaf."""
    if isinstance(tree, dict):
        return {key: mapped(function, part) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return like(tree, [mapped(function, part) for part in tree])
    return function(tree)


def like(tree: Any, parts: list[Any]) -> Any:
    """A tuple, named tuple or list of other parts."""
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves in order."""
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, (tuple, list)):
        for part in tree:
            yield from leaves(part)
    else:
        yield tree


def parts_beside(tree: Any, grad: Any) -> Iterator[tuple[Any, Any]]:
    """The parts of a tree beside those of its gradient."""
    if isinstance(tree, dict):
        return ((part, grad[key]) for key, part in tree.items())
    return zip(tree, grad) if isinstance(tree, (tuple, list)) else iter(())


def placed(whole: Any, path: tuple[Any, ...], grad: Any) -> Any:
    """The gradient of a part as one of the whole, with `None` for all other parts."""
    if not path:
        return grad
    key, *rest = path
    if isinstance(whole, dict):
        return {other: placed(part, tuple(rest), grad) if other == key else None for other, part in whole.items()}
    place = range(len(whole))[key]
    return like(whole, [placed(part, tuple(rest), grad) if i == place else None for i, part in enumerate(whole)])


def sum_of(one: Any, other: Any) -> Any:
    """The sum of two gradients of the same value, never in place: others may hold them too."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, dict):
        return {key: sum_of(part, other[key]) for key, part in one.items()}
    return like(one, list(map(sum_of, one, other))) if isinstance(one, (tuple, list)) else one + other
