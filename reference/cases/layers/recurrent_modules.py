"""Cases of recurrent networks as modules."""

from typing import Any

from reference.case import Case, ModuleCase, build, normal
from reference.cases.layers.recurrent import FALLING, MIXED, on_packed, packed


def _modules(name: str, states: int, hidden: int = 2, **options: Any) -> tuple[ModuleCase, ...]:
    def case(label: str, x: Any, batch: tuple[int, ...] = (), given: bool = True, **about: Any) -> ModuleCase:
        training, own = about.pop("training", True), options | about.pop("options", {})
        layers = own.get("num_layers", 1) * (2 if own.get("bidirectional", False) else 1)
        shapes = [(layers, *batch, own.get("proj_size", hidden)), (layers, *batch, hidden)][:states]
        hx = tuple(normal(*shape) for shape in shapes) if states > 1 else normal(*shapes[0])
        said = ", ".join([label, *(str(value) for value in options.values())])
        inputs = Case(said, (x, hx) if given else (x,), **about)
        return ModuleCase(build(name, 2, hidden, **own), inputs, torch=on_packed, training=training, scale=0.3)

    deep = {"num_layers": 2, "bidirectional": True}
    return (
        case("batch of 2", normal(3, 2, 2), (2,)),
        case("no state", normal(3, 2, 2), given=False),
        case("no batch", normal(3, 2)),
        case("no biases", normal(3, 2, 2), (2,), options={"bias": False}),
        case("batch first, two layers, both directions", normal(2, 3, 2), (2,), options=deep | {"batch_first": True}),
        case("packed, two layers, both directions", packed(2, lengths=MIXED), (4,), options=deep),
        case("packed, no state", packed(2, lengths=FALLING), given=False),
        case("dropout, evaluation", normal(3, 2, 2), (2,), options={"num_layers": 2, "dropout": 0.5}, training=False),
        case("dropout of 0", normal(3, 2, 2), (2,), options={"num_layers": 2, "dropout": 0.0}),
        case("dropout of 1", normal(3, 2, 2), (2,), options={"num_layers": 2, "dropout": 1.0}, zero=("grad_weight_ih_l1",)),
    )


MODULES = (
    *_modules("RNN", 1),
    *_modules("RNN", 1, 10, nonlinearity="relu"),
    *_modules("GRU", 1),
    *_modules("LSTM", 2),
    *_modules("LSTM", 2, proj_size=1),
)
