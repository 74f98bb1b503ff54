"""A client of the REST API that speaks as one user."""

import time

import requests


class Refused(AssertionError):
    """An answer that is no success."""

    def __init__(self, answer):
        super().__init__(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:2000]}")
        self.answer = answer
        self.status = answer.status_code


class Rest:
    def __init__(self, base, ca, email=None, password=None, token=None, jwt=None):
        self.base = base
        self.session = requests.Session()
        self.session.verify = ca
        self.session.trust_env = False
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"
        elif jwt:
            self.session.headers["X-Auth-Token"] = jwt
        elif email:
            self.session.auth = (email, password)

    def ask(self, method, path, **more):
        more.setdefault("timeout", 30)
        return self.session.request(method, self.base + path, **more)

    def payload(self, method, path, **more):
        answer = self.ask(method, path, **more)
        if not answer.ok or answer.json().get("success") is not True:
            raise Refused(answer)
        return answer.json()["payload"]

    def get(self, path, **more):
        return self.payload("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.payload("POST", path, json={} if body is None else body, **more)

    def patch(self, path, body):
        return self.payload("PATCH", path, json=body)

    def delete(self, path, **more):
        return self.payload("DELETE", path, **more)

    def jwt(self):
        return self.get("/rest/auth")["token"]

    # What most tests need first.

    def numbers(self, count=1):
        """Orders `count` numbers and waits until they are leased."""
        found = self.post("/rest/tn/search", {"type": "long_code", "features": ["voice", "sms"], "take": count})
        wanted = [item["tn"] for item in found["data"]]
        assert len(wanted) == count, found
        order = self.post("/rest/order", {"items": [{"tn": tn, "features": ["voice", "sms"]} for tn in wanted]})
        order = self.until(lambda: self.get(f"/rest/order/{order['uuid']}"), lambda o: o["state"] in ("success", "failed"))
        assert order["state"] == "success", order
        return wanted

    def app(self, xml=None, **fields):
        """A SIP Control App that runs `xml`."""
        app = self.post("/rest/sip/app", {"name": fields.pop("name", "flow"), **fields})
        if xml is not None:
            self.post(f"/rest/sip/app/call/flow/{app['uuid']}", {"xml": xml})
        return app

    def number_with(self, xml, **fields):
        """A leased number whose calls run `xml`."""
        (tn,) = self.numbers()
        self.patch(f"/rest/lease/tn/{tn}", {"sip_control_app": self.app(xml, **fields)["uuid"]})
        return tn

    def trunk(self, port, **fields):
        """A SIP connection for a peer on this machine that sends from `port`."""
        name = fields.pop("name", f"trunk {port}")
        return self.post("/rest/sip/connection", {"name": name, "ip": "127.0.0.1", "port": port, **fields})

    @staticmethod
    def until(ask, good, timeout=15):
        """Asks until the answer is good."""
        end = time.monotonic() + timeout
        while True:
            answer = ask()
            if good(answer):
                return answer
            if time.monotonic() > end:
                raise TimeoutError(f"still {answer}")
            time.sleep(0.05)

    def call(self, uuid, state="destroyed", timeout=30):
        """The call once it is in `state`."""
        return self.until(lambda: self.get(f"/rest/call/{uuid}"), lambda call: call["state"] == state, timeout)
