"""Networks of any shape: modules and operations, joined by the values that they hand on.

A graph is written down once, value by value, and then runs as any module does. A block whose input goes around it as well:

    block = manual.Graph()
    x = block.input("x")
    hidden = block.step(manual.relu, block.step(manual.Linear(8, 8), x))
    change = block.step(manual.Linear(8, 8), hidden)
    block.output(block.step(tensor.add, x, change))

    y, backward = block(array)
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from inspect import Parameter as Argument
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from manual.arrays import read_only
from manual.calling import array_names
from manual.containers import Container
from manual.contract import Backward, cotangent, needed
from manual.module import Module, Parameter
from manual.tensor.shapes import detach
from manual.trees import leaves, like, mapped, parts_beside, placed, sum_of

__all__ = ["Graph"]


class Value:
    """What a graph has at one of its places: an input, or the output of a step. `value[0]` is the first part of a tuple."""

    __slots__ = ("graph", "node", "path")
    __iter__ = None  # how many parts there are is not known before the graph runs

    def __init__(self, graph: "Graph", node: int, path: tuple[Any, ...] = ()) -> None:
        self.graph, self.node, self.path = graph, node, path

    def __getitem__(self, key: Any) -> "Value":
        return Value(self.graph, self.node, (*self.path, key))

    def of(self, values: list[Any]) -> Any:
        """The value itself, where `values` has those of all nodes."""
        value = values[self.node]
        for key in self.path:
            value = value[key]
        return value

    def __repr__(self) -> str:
        node = self.graph.nodes[self.node]
        name = node if isinstance(node, str) else f"v{self.node}"
        return name + "".join(f"[{key!r}]" for key in self.path)


class OwnBuffer:
    """A buffer of a module, whatever array that has when the graph runs."""

    __slots__ = ("module", "name")

    def __init__(self, module: Module, name: str) -> None:
        self.module, self.name = module, name


class Step(NamedTuple):
    """A module or operation and what it is called with; `targets` are the arguments to which its gradients belong, in order."""

    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    constants: dict[str, Any]
    targets: tuple[Any, ...]
    note: str = ""  # where it comes from, for messages


class Graph(Container):
    """Modules and operations, joined to a network of any shape.

    Forward:   vₙ = fₙ(v…), step by step in the order in which they were written; the output is any of the values
    Backward:  the chain rule in reverse order: grad_v = Σ Jₙᵀ grad_vₙ over all steps n that take v. What leads to no input
               that is needed and to no parameter that learns is left out

    A module that has no name in the graph yet is named by a number, as in `Sequential`; what is set as an attribute has that name.
    """

    def __init__(self) -> None:
        self._modules: dict[str, Module] = {}
        self.nodes: list[str | Step] = []  # in order: an input, by its name, or a step
        self._output: Any = None
        self._has_output = False

    def input(self, name: str) -> Value:
        """A further argument of the graph: an array, or a tuple of some."""
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"Graph.input: name must be one that an argument can have, got {name!r}")
        if name in self.inputs:
            raise ValueError(f"Graph.input: there is an input {name!r} already")
        self.nodes.append(name)
        return Value(self, len(self.nodes) - 1)

    def step(self, call: Callable[..., Any], /, *arguments: Any, **constants: Any) -> Value:
        """The output of a module or an operation, which is called with these arguments whenever the graph runs.

        An argument is a value of this graph, a parameter that it owns, a constant, or a list, tuple or dict of these. A buffer of
        the graph stands for what it holds at the time. Constants come by keyword, and so may the arrays of a module.
        """
        if not callable(call):
            raise TypeError(f"Graph.step: a module or an operation expected, got {type(call).__name__}")
        arguments, constants = mapped(self._checked, (arguments, constants))
        if isinstance(call, Module):
            targets = _targets_of_module(call, arguments, constants)
            if not any(module is call for module in self.modules()):
                self.add_module(str(next(n for n in range(len(self) + 1) if str(n) not in self._modules)), call)
        else:
            for name, constant in constants.items():
                if any(isinstance(leaf, (Value, Parameter)) for leaf in leaves(constant)):
                    how = f"got {_text(constant)}; arrays come by position"
                    raise TypeError(f"Graph.step: {_name(call)} takes {name} as a constant, {how}")
            targets = (*arguments, *(None,) * (_positions(call) - len(arguments)))
        self.nodes.append(Step(call, arguments, constants, targets))
        return Value(self, len(self.nodes) - 1)

    def output(self, value: Any) -> None:
        """What the graph returns: a value, or a tuple, list or dict of values and constants."""
        self._output = mapped(self._checked, value)
        self._has_output = True

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs, in order."""
        return [node for node in self.nodes if isinstance(node, str)]

    def _checked(self, leaf: Any) -> Any:
        """An argument as a step keeps it."""
        if isinstance(leaf, Value) and leaf.graph is not self:
            raise ValueError(f"Graph: the value {leaf!r} belongs to another graph")
        if isinstance(leaf, Parameter) and not any(leaf is parameter for parameter in self.parameters()):
            raise ValueError("Graph: a parameter must be one of the graph's own; set it as an attribute first")
        if isinstance(leaf, np.ndarray):
            for module in self.modules():
                for name, buffer in module.named_buffers(recurse=False):
                    if buffer is leaf:
                        return OwnBuffer(module, name)
        return leaf

    def bound(self, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs by name."""
        names = self.inputs
        given = dict(zip(names, inputs))
        if len(inputs) > len(names) or given.keys() & named.keys() or given.keys() | named.keys() != set(names):
            got = f"{len(inputs)} by position" + (f" and {', '.join(named)} by name" if named else "")
            raise TypeError(f"Graph: expected the inputs {', '.join(names) or '(none)'}, got {got}")
        return given | dict(named)

    def forward(self, *inputs: Any, **named: Any) -> tuple[Any, Backward]:
        """Run all steps on the inputs, which come by position or by name."""
        if not self._has_output:
            raise ValueError("Graph: there is no output yet; say what it is with graph.output(value)")
        nodes, template = tuple(self.nodes), self._output
        given = self.bound(inputs, named)
        values: list[Any] = []
        backwards: list[Any] = []

        def now(leaf):
            """What an argument is now."""
            if isinstance(leaf, Value):
                return leaf.of(values)
            if isinstance(leaf, OwnBuffer):
                return getattr(leaf.module, leaf.name)
            return leaf.data if isinstance(leaf, Parameter) else leaf

        def shown(leaf):
            """The same for the output: what others own is read-only there."""
            own = isinstance(leaf, Value) and isinstance(nodes[leaf.node], Step)
            return now(leaf) if own else mapped(read_only, now(leaf))

        for node in nodes:
            if isinstance(node, str):
                value, backward_of_node = given[node], None
            else:
                try:
                    value, backward_of_node = node.call(*mapped(now, node.arguments), **mapped(now, node.constants))
                except Exception as error:
                    error.add_note(f"Graph: this was v{len(values)}, {self._shown(node)}" + (f", {node.note}" if node.note else ""))
                    raise
            values.append(value)
            backwards.append(backward_of_node)
        output = mapped(shown, template)

        def backward(grad_output, needs=None):
            asked = iter(needed("Graph", needs, len(given)))
            wanted: list[bool] = []  # of each node, whether its gradient leads anywhere

            def leads(leaf):
                if isinstance(leaf, Value):
                    return wanted[leaf.node]
                return isinstance(leaf, Parameter) and leaf.requires_grad

            for node, value in zip(nodes, values):
                if isinstance(node, str):
                    goes = next(asked)
                else:
                    learns = isinstance(node.call, Module) and node.call.learns()
                    goes = learns or (node.call is not detach and any(map(leads, leaves(node.targets))))
                wanted.append(goes and any(map(_is_float, leaves(value))))

            grads: list[Any] = [None] * len(nodes)

            def send(target, grad):
                """Add a gradient to what it belongs to."""
                if grad is None:
                    return
                if isinstance(target, Value):
                    if wanted[target.node]:
                        whole = placed(values[target.node], target.path, grad)
                        grads[target.node] = sum_of(grads[target.node], whole)
                elif isinstance(target, Parameter):
                    if target.requires_grad:
                        target.accumulate(grad)
                else:
                    for part, grad_of_part in parts_beside(target, grad):
                        send(part, grad_of_part)

            send(template, _cotangents(grad_output, output))
            for node, backward_of_node, place in reversed(list(zip(nodes, backwards, range(len(nodes))))):
                if isinstance(node, str) or grads[place] is None:
                    continue
                wants = tuple([any(map(leads, leaves(target))) for target in node.targets])
                for target, grad in zip(node.targets, backward_of_node(grads[place], wants)):
                    send(target, grad)
                grads[place] = None
            return tuple([grads[place] for place, node in enumerate(nodes) if isinstance(node, str)])

        return output, backward

    def _shown(self, step: Step) -> str:
        paths = {id(module): path for path, module in self.named_modules()}
        name = paths.get(id(step.call)) or _name(step.call)
        arguments = [_text(argument) for argument in step.arguments]
        return f"{name}({', '.join(arguments + [f'{key}={_text(value)}' for key, value in step.constants.items()])})"

    def extra_repr(self) -> str:
        """The steps, a line for each."""
        lines = [f"v{place} = {self._shown(node)}" for place, node in enumerate(self.nodes) if isinstance(node, Step)]
        return "\n  ".join([f"takes {', '.join(self.inputs)}", *lines, f"returns {_text(self._output)}"])


# -- The cotangent, and what is shown


def _cotangents(grad: Any, output: Any, inside: bool = False) -> Any:
    """The gradient of an output, which must have its structure; within one, `None` stands for zeros."""
    if isinstance(output, (tuple, list, dict)):
        if grad is None:
            return None
        kind, keys = (dict, list(output)) if isinstance(output, dict) else ((tuple, list), list(range(len(output))))
        if not isinstance(grad, kind) or (list(grad) if isinstance(grad, dict) else list(range(len(grad)))) != keys:
            what = f"a dict of {', '.join(map(repr, keys))}" if isinstance(output, dict) else f"{len(keys)} parts"
            raise TypeError(f"Graph: grad_output must have {what}, as the output has, got {_text(grad)}")
        parts = [_cotangents(grad[key], output[key], True) for key in keys]
        return dict(zip(keys, parts)) if isinstance(output, dict) else like(output, parts)
    if not _is_float(output):
        if grad is not None:
            raise TypeError(f"Graph: grad_output must be None where the output holds no numbers, got {type(grad).__name__}")
        return None
    return None if grad is None and inside else cotangent("Graph", grad, output.shape, output.dtype)


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind == "f"


def _text(tree: Any) -> str:
    """A tree in a line: arrays by their shapes."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {_text(part)}" for key, part in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        inside = ", ".join(map(_text, tree))
        return f"[{inside}]" if isinstance(tree, list) else f"({inside}{',' * (len(tree) == 1)})"
    if isinstance(tree, Parameter):
        return f"parameter {tree.shape}"
    if isinstance(tree, OwnBuffer):
        return f"buffer {tree.name}"
    return f"array {tree.shape}" if isinstance(tree, np.ndarray) else repr(tree)


# -- Calls


def _name(call: Callable[..., Any]) -> str:
    return getattr(call, "__name__", type(call).__name__)


def _targets_of_module(module: Module, arguments: tuple[Any, ...], constants: dict[str, Any]) -> tuple[Any, ...]:
    """Those arguments for which the backward of a module has gradients, in its order."""
    if isinstance(module, Graph):
        given = module.bound(arguments, constants)
        return tuple([given[name] for name in module.inputs])
    given = signature(module.forward).bind(*arguments, **constants).arguments
    return tuple([given.get(name) for name in array_names(module.forward)])


@lru_cache
def _positions(call: Callable[..., Any]) -> int:
    """How many arrays an operation takes by position: for each of them its backward has a gradient."""
    try:
        arguments = signature(call).parameters.values()
    except ValueError:  # of a builtin
        return 0
    return sum(argument.kind is Argument.POSITIONAL_ONLY for argument in arguments)
