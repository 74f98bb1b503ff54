"""The client that is generated from the OpenAPI document in the tree, against the server."""

import json
import os
import subprocess
from pathlib import Path

SDK = Path(__file__).resolve().parents[2] / "sdk/typescript"


def test_the_typescript_client_is_generated_and_makes_a_call(server):
    # The compiler holds the example against the types: a field that is not documented fails here.
    subprocess.run(["npm", "run", "--silent", "build"], cwd=SDK, check=True, timeout=120)
    token = server.rest().post("/rest/token", {"name": "sdk"})["token"]
    environment = os.environ | {"OPENTACT_URL": server.base, "OPENTACT_TOKEN": token, "NODE_EXTRA_CA_CERTS": server.ca}
    program = ["node", SDK / "dist/examples/first-call.js"]
    told = subprocess.run(program, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout
    call = json.loads(told)
    assert (call["state"], call["cause"], call["steps"]) == ("destroyed", 16, ["Answer", "Say", "Hangup"])
    assert server.rest().get(f"/rest/call/{call['uuid']}")["from"].endswith(str(call["tn"]))
