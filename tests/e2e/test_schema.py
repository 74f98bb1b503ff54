"""The OpenAPI document against the server (schemathesis): whatever is sent, what comes is what the document says.

OPENTACT_SCHEMA_EXAMPLES is how many requests each operation gets, 3 unless told. Told, the edge cases of each parameter and
chains of operations are sent too, which are some 15,000 requests.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = os.environ.get("OPENTACT_SCHEMA_EXAMPLES")
PHASES = "examples,coverage,fuzzing,stateful" if EXAMPLES else "examples,fuzzing"
# What no schema can say: rules between properties, names that only the database knows. They are told in `fields`.
BEYOND_A_SCHEMA = "positive_data_acceptance"
# So many wrong credentials from one address are answered 429; that each operation wants some is tested in the crate.
GUARDED = "ignored_auth"


@pytest.mark.timeout(3600 if EXAMPLES else 240)
def test_every_answer_is_one_that_the_document_has(own_server, tmp_path):
    server = own_server(limits__requests_per_minute="100000000")
    tool = Path(sys.executable).with_name("schemathesis")
    run = subprocess.run(
        [tool, "run", f"{server.base}/swagger/openapi.json", "--url", server.base, "--tls-verify", server.ca,
         "--header", f"X-Auth-Token:{server.rest().jwt()}", "--max-examples", EXAMPLES or "3", "--seed", "1",
         "--phases", PHASES, "--checks", "all", "--exclude-checks", f"{BEYOND_A_SCHEMA},{GUARDED}",
         "--workers", "2", "--no-shrink", "--continue-on-failure"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    assert server.is_healthy()
