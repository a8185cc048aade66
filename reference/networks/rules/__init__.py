"""The table of rules, chapter by chapter."""

from reference.networks.rules import arithmetic as arithmetic
from reference.networks.rules import choosing as choosing
from reference.networks.rules import reductions as reductions
from reference.networks.rules import shapes as shapes
from reference.networks.rules.table import RULES as RULES
from reference.networks.rules.table import name_of as name_of
