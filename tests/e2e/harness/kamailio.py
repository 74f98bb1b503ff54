"""Kamailio as the proxy in front: a stateful one that stays in the path of every dialog and says what it passed."""

import os
import signal
import subprocess
from pathlib import Path

from .sipp import free_port

CONFIG = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "path.so"
modparam("path", "use_received", 1)

request_route {{
    xlog("L_ALERT", "passed $rm from $sp\\n");
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (loose_route()) {{
        if (!has_totag()) record_route();
        t_relay();
        exit;
    }}
    if (is_method("REGISTER")) add_path_received();
    if (is_method("INVITE|SUBSCRIBE")) record_route();
    if (is_method("CANCEL") && !t_check_trans()) exit;
    $du = "sip:{host}:{remote}";
    t_relay();
}}
"""


class Kamailio:
    """Relays what is not within a dialog to `server`."""

    CONFIG = CONFIG

    def __init__(self, folder, server, **more):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        config = self.folder / "kamailio.cfg"
        config.write_text(self.CONFIG.format(port=self.port, host=server[0], remote=server[1], **more))
        with (self.folder / "log").open("wb") as log:
            # In a session of its own: its children end with it.
            self.process = subprocess.Popen(
                ["kamailio", "-DD", "-E", "-f", config, "-m", "64", "-M", "8", "-Y", self.folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def address(self):
        return "127.0.0.1", self.port

    def passed(self, method, port):
        """Whether a request of `method` came by from a port of this machine."""
        return f"passed {method} from {port}\n" in (self.folder / "log").read_text(errors="replace")

    def close(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


REGISTRAR = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)

request_route {{
    if (!is_method("REGISTER")) {{
        sl_send_reply("405", "Method Not Allowed");
        exit;
    }}
    if (!pv_www_authenticate("$td", "{password}", "0")) {{
        www_challenge("$td", "0");
        exit;
    }}
    save("location");
    xlog("L_ALERT", "$fU for $hdr(Expires) s\\n");
}}
"""


class Registrar(Kamailio):
    """A provider that wants to be registered with, as whoever knows `password`."""

    CONFIG = REGISTRAR

    def __init__(self, folder, password):
        super().__init__(folder, ("127.0.0.1", 0), password=password)

    def registered(self, user, seconds):
        """Whether it has taken a REGISTER of a user, for so long."""
        return f"{user} for {seconds} s\n" in (self.folder / "log").read_text(errors="replace")
