"""Kamailio as the websocket edge of a site: WS and WSS outside, UDP to the server; and a client of it that is no browser."""

import random
import socket
import time

import websocket

from .kamailio import Kamailio
from .phone import Message, Phone
from .sipp import free_port

CONFIG = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
tcp_children=2
tcp_accept_no_cl=yes
tcp_connection_lifetime=3600
enable_tls=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{ws}
listen=tls:127.0.0.1:{wss}
loadmodule "tm.so"
loadmodule "outbound.so"
loadmodule "rr.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "nathelper.so"
loadmodule "path.so"
loadmodule "tls.so"
loadmodule "xhttp.so"
loadmodule "websocket.so"
modparam("path", "use_received", 1)
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")

request_route {{
    xlog("L_ALERT", "passed $rm from $proto\n");
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (nat_uac_test(64)) {{
        force_rport();
        if (!is_method("REGISTER")) add_contact_alias();
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    # A Path of its own alone is none that drives the request, but it has said where to.
    if (loose_route() || $du != "") {{
        if (!has_totag()) record_route();
        if ($du == "") handle_ruri_alias();
        t_relay();
        exit;
    }}
    if (is_method("ACK")) exit;
    if (is_method("REGISTER")) add_path_received();
    else record_route();
    $du = "sip:{host}:{remote}";
    t_relay();
}}

onreply_route {{
    if (nat_uac_test(64)) add_contact_alias();
}}

event_route[xhttp:request] {{
    set_reply_close();
    set_reply_no_connect();
    if ($hdr(Upgrade) =~ "websocket" && ws_handle_handshake()) exit;
    xhttp_reply("404", "Not Found", "", "");
}}
"""


class WebEdge(Kamailio):
    CONFIG = CONFIG

    def __init__(self, folder, server):
        self.ws, self.wss = free_port(), free_port()
        tls = server.data / "tls"
        super().__init__(
            folder, server.sip(), ws=self.ws, wss=self.wss, certificate=tls / "server.pem", key=tls / "server.key"
        )

    def ready(self, scheme):
        """Its URL, once it listens there."""
        end = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", getattr(self, scheme))).close()
                return f"{scheme}://127.0.0.1:{getattr(self, scheme)}/"
            except ConnectionRefusedError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text(errors="replace")) from None
                time.sleep(0.05)

    def passed(self, method, transport):
        """Whether a request of `method` came by over a transport."""
        return f"passed {method} from {transport}\n" in (self.folder / "log").read_text(errors="replace")


class WebsocketPhone(Phone):
    """A client of a websocket, whose `server` is its URL: nobody can connect to it."""

    VIA = "WS"
    PARAMETERS = ";transport=ws"

    def connect(self):
        self.socket = websocket.create_connection(self.server, subprotocols=["sip"], timeout=20)
        self.local = f"{random.getrandbits(48):012x}.invalid"

    def send(self, datagram):
        self.socket.send(datagram)

    def receive(self, timeout=5):
        self.socket.settimeout(timeout)
        data = self.socket.recv()
        return Message(data if isinstance(data, bytes) else data.encode())
