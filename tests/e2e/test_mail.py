"""Passwords set anew by mail: over SMTP to a server of another make, and into files where there is none."""

import re

from harness.mail import Mailbox, parsed
from harness.rest import Rest
from harness.server import EMAIL, PASSWORD

TOKEN = re.compile(r"[A-Za-z0-9]{48}")


def ask(server, **query):
    answer = Rest(server.base, server.ca).ask("GET", "/rest/user/password_reset", params=query)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "payload": {}}), answer.text


def reset(server, token, password):
    form = {"token": token, "password": password}
    return Rest(server.base, server.ca).ask("POST", "/rest/user/password_reset", json=form).status_code


def signs_in(server, password):
    return server.rest(password=password).ask("GET", "/rest/auth").status_code == 200


def test_a_password_is_set_by_a_mail_over_smtp(own_server):
    with Mailbox() as mailbox:
        server = own_server(mail__smtp=mailbox.url, mail__from="Opentact <hello@example.com>")
        ask(server, email="nobody@example.com", callback=f"{server.base}/#/reset/{{token}}")
        ask(server, email=EMAIL.upper(), callback=f"{server.base}/#/reset/{{token}}")
        envelope, mail = mailbox.next()
        assert (envelope.mail_from, envelope.rcpt_tos) == ("hello@example.com", [EMAIL])
        assert (mail["from"], mail["to"]) == ("Opentact <hello@example.com>", EMAIL)
        assert mail["message-id"] and mail["date"]
        link = next(line for line in mail.get_content().splitlines() if line.startswith(f"{server.base}/#/reset/"))
        token = TOKEN.search(link)[0]
        assert reset(server, token, "battery staple") == 200
        assert signs_in(server, "battery staple") and not signs_in(server, PASSWORD)
        assert reset(server, token, "another one") == 404


def test_mail_that_is_not_taken_is_tried_again_by_the_next_run_too(own_server):
    with Mailbox() as mailbox:
        mailbox.refuse = "451 not now"
        server = own_server(mail__smtp=mailbox.url)
        ask(server, email=EMAIL)
        server.wait_for_log("mail was not taken")
        server.restart()
        _, mail = mailbox.next()
        assert reset(server, TOKEN.search(mail.get_content())[0], "battery staple") == 200


def test_a_mail_that_nobody_will_take_is_given_up(own_server):
    with Mailbox() as mailbox:
        mailbox.refuse = "550 no such user"
        server = own_server(mail__smtp=mailbox.url)
        ask(server, email=EMAIL)
        server.wait_for_log("mail is given up")


def test_without_a_server_mail_is_a_file(own_server):
    server = own_server()
    ask(server, email=EMAIL)
    server.wait_for(lambda: list((server.data / "mail").glob("*.eml")), "a mail")
    (letter,) = (server.data / "mail").glob("*.eml")
    mail = parsed(letter.read_bytes())
    assert (mail["from"], mail["to"]) == ("opentact@localhost", EMAIL)
    assert reset(server, TOKEN.search(mail.get_content())[0], "battery staple") == 200
    assert letter.stat().st_mode & 0o777 == 0o600
