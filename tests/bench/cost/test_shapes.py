"""Every shape does its work, and is marked as it should be; what it costs is counted elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.cost.shapes import SHAPES
from tests.support.programs import ROOT


def test_every_shape_is_worked_twice_for_the_count(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench.cost.counted"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    labels = {label for label in json.loads(ran.stdout) if label}
    assert labels == {f"{name}/{times}" for name in ("reference", *SHAPES) for times in (1, 3)}
