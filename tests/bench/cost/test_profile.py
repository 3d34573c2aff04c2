"""How callgrind's file is read."""

from tests.bench.cost.profile import own_costs

FILE = """\
version: 1
events: Ir
totals: 36

fl=(1) ceval.c
fn=(1) eval
10 5
+1 2
cfn=(2) parse
calls=1 30
* 20
+3 1

fn=(2)
30 20

fn=(3) eval'2
10 8
""".splitlines()


def test_a_function_is_charged_with_its_own_instructions_alone() -> None:
    assert own_costs(FILE) == {"eval": 16, "parse": 20}
