"""How callgrind's files become costs."""

import json
from pathlib import Path

from tests.bench.cost.valgrind import Counts, dump


def test_the_file_of_a_label_is_the_one_of_its_mark(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(["", "receive/1", "", "receive/3"]))

    assert dump(tmp_path, "receive/3") == tmp_path / "callgrind.4"


def test_a_ratio_is_turns_of_the_reference_loop() -> None:
    assert Counts(250.0, {"receive": 1000.0}).ratio("receive") == 4.0
