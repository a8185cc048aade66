"""Cases of the modules that hold modules."""

from reference.case import Case, ModuleCase, build, normal

_network = build("Sequential", build("Linear", 4, 5), build("Tanh"), build("Linear", 5, 3, bias=False), build("Sigmoid"))

MODULES = (
    ModuleCase(_network, Case("a network", (normal(6, 4),))),
    ModuleCase(build("Sequential", _network, build("Sequential", build("Linear", 3, 2))), Case("nested", (normal(6, 4),))),
    ModuleCase(
        build("Sequential", build("Linear", 4, 3), build("BatchNorm1d", 3), build("Linear", 3, 2)),
        Case("a bias before batch norm", (normal(6, 4),), zero=("grad_0.bias",)),
    ),
    ModuleCase(build("Sequential"), Case("empty", (normal(6, 4),))),
    ModuleCase(build("Sequential", {"first": build("Linear", 4, 2), "last": build("ReLU")}), Case("named", (normal(6, 4),))),
)
