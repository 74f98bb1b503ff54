"""The registrar, by sipp: what a phone may ask of it, and what it is told."""

from harness import sipp
from harness.scenario import Caller
from test_messages import office
from test_softphones import SECRET, users


class Registration(Caller):
    """Each REGISTER is challenged first."""

    def register(self, *headers, **more):
        for credentials in ([], ["[field1]"]):
            self.request("REGISTER", *headers, *credentials, **more)
            if not credentials:
                self.challenged(401)
        return self


def test_contacts_are_kept_in_order_asked_for_limited_in_time_and_removed(own_server, tmp_path):
    server = own_server(sip__register_min="60s", sip__register_default="600s", sip__register_max="600s")
    rest = server.rest()
    domain = office(rest, "desk")
    at = "[local_ip]:[local_port]"
    phone = Registration()
    phone.register("Expires: 5").hear(423, headers={"Min-Expires": "^ *60"})
    two = [f"Contact: <sip:mobile@{at}>;q=0.5, <sip:desk@{at}>;q=0.9", "Expires: 3600"]
    # The longest there is.
    phone.register(*two).hear(200, body=["sip:desk@[^>]*>;expires=600;q=0.9", "sip:mobile@[^>]*>;expires=600;q=0.5"])
    phone.register(without=["Contact"]).hear(200, body=["sip:desk@", "sip:mobile@"])
    phone.register(f"Contact: <sip:mobile@{at}>;expires=0").hear(200, body=["sip:desk@"], without=["sip:mobile@"])
    phone.register("Contact: *").hear(400)
    phone.register("Contact: *", "Expires: 60").hear(400)
    phone.register(*two).hear(200)
    phone.register("Contact: *", "Expires: 0").hear(200, without=["Contact:"])
    phone.register(f"Contact: <sip:desk@{at}>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\"", "Supported: gruu")
    phone.hear(200, body=["pub-gruu=\"sip:desk@[^\"]*;gr="])
    host, port = server.sip()
    rows = [("desk", f"[authentication username=desk password={SECRET}]")]
    keys = {"to": "desk", "from": "desk", "host": domain, "home": domain}
    result = sipp.run(tmp_path, phone.write(tmp_path, "registrar"), (host, port), calls=1, rate=50, rows=rows, keys=keys)
    assert result.code == 0 and result.failed == 0, f"{result.errors}\n{result.screen[-3000:]}"
    (user,) = users(rest, domain)
    (registration,) = rest.get(f"/rest/sip/domain/{domain}/user/{user['uuid']}")["registrations"]
    assert registration["transport"] == "udp"
