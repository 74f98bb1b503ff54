"""The OpenAPI document against the server (schemathesis): whatever is sent, what comes is what the document says.

OPENTACT_SCHEMA_EXAMPLES is how many requests each operation gets besides the edge cases; 2 unless told.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = int(os.environ.get("OPENTACT_SCHEMA_EXAMPLES", "2"))


@pytest.mark.timeout(60 + 60 * EXAMPLES)
def test_every_answer_is_one_that_the_document_has(own_server, tmp_path):
    server = own_server(limits__requests_per_minute="100000000")
    tool = Path(sys.executable).with_name("schemathesis")
    run = subprocess.run(
        [tool, "run", f"{server.base}/swagger/openapi.json", "--url", server.base, "--tls-verify", server.ca,
         "--header", f"X-Auth-Token:{server.rest().jwt()}", "--max-examples", str(EXAMPLES), "--seed", "1",
         "--workers", "2", "--no-shrink", "--continue-on-failure", "--report-dir", tmp_path, "--report", "json"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    assert server.is_healthy()
