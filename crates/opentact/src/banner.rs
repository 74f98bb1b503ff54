//! What `opentact serve` prints on standard output once it is ready: addresses, credentials, commands to copy.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::client::Credentials;
use crate::first_start::FirstStart;
use crate::runtime::Runtime;
use crate::tls::TlsFiles;

/// Callee that answers, greets and echoes; one whose SMS get their receipt.
const CALLEE: &str = "12065550001";
const RECIPIENT: &str = "12065550199";

/// The text of a start on `data`.
pub fn banner(data: &Path, runtime: &Runtime, credentials: Option<&Credentials>, first: Option<&FirstStart>) -> String {
    let mut text = String::new();
    let web = runtime.https;
    let _ = write!(
        text,
        "\nOpentact {} is ready.\n\n  REST API    https://{web}/rest   page: https://{web}/swagger/\n  \
         websocket   wss://{web}/ws\n",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(udp) = runtime.sip_udp {
        let tcp = runtime.sip_tcp.map(|tcp| format!(", {tcp} TCP")).unwrap_or_default();
        let _ = writeln!(text, "  SIP         {udp} UDP{tcp}");
    }
    let ca = TlsFiles::in_data(data).ca();
    let _ = writeln!(text, "  metrics     http://{}/metrics\n  authority   {}\n", runtime.metrics, ca.display());
    if let Some(credentials) = credentials {
        text.push_str(&accounts(data, credentials, first));
        text.push_str(&commands(data, runtime, credentials));
    }
    text
}

fn accounts(data: &Path, credentials: &Credentials, first: Option<&FirstStart>) -> String {
    let Credentials { email, sip_user, sip_domain, sip_password, .. } = credentials;
    let mut text = String::new();
    match first {
        Some(FirstStart { password: Some(password) }) => {
            let _ = write!(
                text,
                "The first account is made. Its password is shown this once:\n\n  email       {email}\n  \
                 password    {password}\n"
            );
        }
        Some(FirstStart { password: None }) => {
            let _ = write!(
                text,
                "The first account is made, with the password of the configuration.\n\n  email       {email}\n"
            );
        }
        None => {
            let _ = writeln!(text, "  email       {email}");
        }
    }
    let file = data.join("credentials.json");
    let _ = write!(
        text,
        "  API token   in {}\n  SIP user    {sip_user}@{sip_domain}, password {sip_password}\n",
        file.display()
    );
    text
}

/// The three commands, as they can be copied into a shell in the same folder.
fn commands(data: &Path, runtime: &Runtime, credentials: &Credentials) -> String {
    let program = quoted(&this_program().display().to_string());
    let data_flag = if data == Path::new("./data") {
        String::new()
    } else {
        format!(" --data {}", quoted(&data.display().to_string()))
    };
    let mut text = format!(
        "\nTo copy into another terminal:\n\n  Call a simulated callee and watch the call's events:\n    \
         $ {program} call {CALLEE}{data_flag}\n  Send an SMS and watch its states:\n    \
         $ {program} sms {RECIPIENT} 'Hello from Opentact'{data_flag}\n"
    );
    if let Some(udp) = runtime.sip_udp {
        let Credentials { sip_user, sip_domain, sip_password, .. } = credentials;
        let account = format!(
            "<sip:{sip_user}@{sip_domain};transport=udp>;auth_user={sip_user};auth_pass={sip_password};\
             outbound=\"sip:{udp};transport=udp\";regint=60"
        );
        let folder = quoted(&data.join("baresip").display().to_string());
        let _ = write!(
            text,
            "  Register a softphone (apt install baresip-core; Linphone: docs/getting-started.md) and dial from it:\n    \
             $ baresip -f {folder} -e '/uanew {account}'\n"
        );
    }
    text.push('\n');
    text
}

/// The path of this program, relative when it is below the working folder.
fn this_program() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("opentact"));
    let below = std::env::current_dir().ok().and_then(|folder| path.strip_prefix(folder).ok().map(Path::to_owned));
    below.unwrap_or(path)
}

/// `text` as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> Runtime {
        let at = |port| format!("127.0.0.1:{port}").parse().unwrap();
        Runtime {
            http: at(8080),
            https: at(8443),
            sip_udp: Some(at(5060)),
            sip_tcp: Some(at(5060)),
            sip_tls: None,
            smpp: Vec::new(),
            metrics: at(9090),
            pid: 1,
        }
    }

    fn credentials() -> Credentials {
        Credentials {
            email: "admin@localhost".to_owned(),
            token: "t0ken".to_owned(),
            sip_domain: "home.sip.localhost".to_owned(),
            sip_user: "phone".to_owned(),
            sip_password: "s1p".to_owned(),
        }
    }

    #[test]
    fn the_password_is_told_at_first_start_only() {
        let first = FirstStart { password: Some("once".to_owned()) };
        let at_first = banner(Path::new("./data"), &runtime(), Some(&credentials()), Some(&first));
        assert!(at_first.contains("password    once"));
        let later = banner(Path::new("./data"), &runtime(), Some(&credentials()), None);
        assert!(!later.contains("once"));
        assert!(!later.contains("t0ken"));
    }

    #[test]
    fn three_commands_can_be_copied() {
        let text = banner(Path::new("/srv/my data"), &runtime(), Some(&credentials()), None);
        let commands: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("$ ")).collect();
        assert_eq!(commands.len(), 3);
        assert!(commands[0].ends_with("call 12065550001 --data '/srv/my data'"), "{}", commands[0]);
        assert!(commands[2].contains("outbound=\"sip:127.0.0.1:5060;transport=udp\""), "{}", commands[2]);
    }
}
