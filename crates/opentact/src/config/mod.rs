//! Every setting: its name, kind, default and meaning stand once, in `settings.rs`; reading, checking, showing and the
//! reference in `docs/configuration.md` come from there.

mod faults;
mod http_carrier;
mod layers;
mod reference;
mod settings;
pub mod sms_carrier;
pub mod value;

use std::fmt::Write as _;
use std::path::Path;

pub use layers::{Fault, Layers, Origin};
pub use reference::reference;
pub use settings::*;

/// One setting as the reference and the command line see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// `section.name`, or the bare name of one outside any section.
    pub key: &'static str,
    pub kind: &'static str,
    /// As it would be written in the environment.
    pub default: &'static str,
    pub doc: &'static str,
}

impl Setting {
    /// `OPENTACT_SECTION__NAME`.
    pub fn variable(&self) -> String {
        format!("OPENTACT_{}", self.key.replace('.', "__").to_ascii_uppercase())
    }
}

/// All that is wrong with a configuration, not only the first fault.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub struct Faults(pub Vec<Fault>);

fn list(faults: &[Fault]) -> String {
    faults.iter().fold("configuration is not usable:".to_owned(), |mut text, fault| {
        let _ = write!(text, "\n  {fault}");
        text
    })
}

/// A checked configuration and where each value came from.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    layers: Layers,
}

impl Loaded {
    /// Reads file, environment and flags, in rising precedence.
    ///
    /// # Errors
    /// Every unknown key and every bad value.
    pub fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, Faults> {
        let mut layers = Layers::default();
        if let Some(path) = file {
            match std::fs::read_to_string(path) {
                Ok(text) => layers.file(path, &text),
                Err(fault) => layers.faults.push(Fault {
                    key: "configuration file".to_owned(),
                    message: fault.to_string(),
                    origin: Origin::File { path: path.to_owned(), line: 0 },
                }),
            }
        }
        layers.environment(environment);
        for (key, value) in flags {
            layers.flag(key, value);
        }
        let config = Config::read(&mut layers);
        if let Some(config) = &config {
            let faults: Vec<Fault> = config
                .faults()
                .into_iter()
                .map(|(key, message)| Fault { key: key.to_owned(), message, origin: layers.origin(key) })
                .collect();
            layers.faults.extend(faults);
        }
        match config {
            Some(config) if layers.faults.is_empty() => Ok(Self { config, layers }),
            _ => Err(Faults(layers.faults)),
        }
    }

    /// The result as TOML, each value with its origin as a comment.
    pub fn print(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for (key, value) in self.config.show() {
            let (head, name) = key.rsplit_once('.').unwrap_or(("", key));
            if head != section {
                let _ = writeln!(text, "\n[{head}]");
                section = head;
            }
            let line = match value {
                Some(value) => format!("{name} = {value}"),
                None => format!("# {name} ="),
            };
            let _ = writeln!(text, "{line:<44} # {}", self.layers.origin(key));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, Faults> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("opentact.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Loaded::read(Some(&path), environment, &flags)
    }

    fn faults(result: Result<Loaded, Faults>) -> Vec<String> {
        result
            .unwrap_err()
            .0
            .into_iter()
            .map(|mut fault| {
                if let Origin::File { path, .. } = &mut fault.origin {
                    *path = path.file_name().unwrap().into();
                }
                fault.to_string()
            })
            .collect()
    }

    #[test]
    fn every_default_is_a_good_value() {
        let loaded = Loaded::read(None, std::iter::empty(), &[]).unwrap();
        assert_eq!(loaded.config.http.listen, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(loaded.config.sip.udp, ["127.0.0.1:5060".parse().unwrap()]);
        assert_eq!(loaded.config.media.ports.0, 20000..=29999);
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let file = "[sip]\nudp = \"127.0.0.1:1\"\ntcp = \"127.0.0.1:1\"\n[metrics]\nlisten = \"127.0.0.1:1\"\n";
        let loaded = read(
            file,
            &[("OPENTACT_SIP__UDP", "127.0.0.1:2"), ("OPENTACT_SIP__TCP", "127.0.0.1:2"), ("HOME", "/")],
            &[("sip.udp", "127.0.0.1:3")],
        )
        .unwrap();
        let ports = [
            loaded.config.sip.udp[0],
            loaded.config.sip.tcp[0],
            loaded.config.metrics.listen,
            loaded.config.http.listen,
        ]
        .map(|address| address.port());
        assert_eq!(ports, [3, 2, 1, 8080]);
        assert_eq!(loaded.layers.origin("sip.udp").to_string(), "flag --sip.udp");
        assert_eq!(loaded.layers.origin("sip.tcp").to_string(), "environment OPENTACT_SIP__TCP");
        assert!(loaded.layers.origin("metrics.listen").to_string().ends_with("opentact.toml:5"));
    }

    #[test]
    fn several_listeners_and_what_networks_are_told_of_them() {
        let file = "[sip]\nudp = [\"127.0.0.1:1\", \"[::1]:1\"]\ntcp = \"127.0.0.1:1\"\ntls = []\n\
                    external_address = [\"203.0.113.5\", \"10.0.0.0/8=own\", \"2001:db8::5\"]\n";
        let loaded =
            read(file, &[("OPENTACT_MEDIA__EXTERNAL_ADDRESS", "203.0.113.6")], &[("sip.tcp", "[::1]:2,[::1]:3")]);
        let sip = loaded.unwrap().config.sip;
        assert_eq!(
            (sip.udp.len(), sip.tcp, sip.tls),
            (2, vec!["[::1]:2".parse().unwrap(), "[::1]:3".parse().unwrap()], vec![])
        );
        let views: Vec<String> =
            sip.external_address.iter().map(|view| format!("{}={:?}", view.peers, view.told)).collect();
        assert_eq!(views, ["0.0.0.0/0=Some(203.0.113.5)", "10.0.0.0/8=None", "::/0=Some(2001:db8::5)"]);
        for wrong in ["own", "10.0.0.0/8", "10.0.0.0/8=2001:db8::1", "0.0.0.0", "10.0.0.0/8=x"] {
            assert!(read("", &[], &[("sip.external_address", wrong)]).is_err(), "{wrong}");
        }
        assert!(read("", &[], &[("sip.udp", "")]).is_err());
    }

    #[test]
    fn all_faults_are_named_with_their_place() {
        let file = "[http]\nlisten = 5\nlissten = \"127.0.0.1:1\"\n[nonsense]\nx = 1\n";
        let got =
            faults(read(file, &[("OPENTACT_SIP__UPD", "1"), ("OPENTACT_MEDIA__PORTS", "9")], &[("log.format", "xml")]));
        assert_eq!(
            got,
            [
                "http.lissten: unknown setting; did you mean http.listen? (opentact.toml:3)",
                "nonsense.x: unknown setting (opentact.toml:5)",
                "sip.upd: unknown setting; did you mean sip.udp? (environment OPENTACT_SIP__UPD)",
                "http.listen: expected address:port, found integer 5 (opentact.toml:2)",
                "media.ports: expected a port range such as 20000-29999, found \"9\" (environment OPENTACT_MEDIA__PORTS)",
                "log.format: expected text or json, found \"xml\" (flag --log.format)",
            ]
        );
    }

    #[test]
    fn broken_toml_is_told_with_its_line() {
        let got = faults(read("[http]\nlisten = \n", &[], &[]));
        assert_eq!(got.len(), 1);
        assert!(got[0].ends_with("(opentact.toml:2)"), "{}", got[0]);
    }

    #[test]
    fn sign_up_closes_when_others_can_reach_a_listener() {
        use value::SignUp;
        let sign_up = |flags: &[(&str, &str)]| read("", &[], flags).unwrap().config.sign_up();
        assert_eq!(sign_up(&[]), SignUp::Open);
        assert_eq!(sign_up(&[("sip.udp", "0.0.0.0:5060")]), SignUp::Closed);
        assert_eq!(sign_up(&[("sip.udp", "0.0.0.0:5060"), ("accounts.sign_up", "open")]), SignUp::Open);
        assert_eq!(sign_up(&[("accounts.sign_up", "invite")]), SignUp::Invite);
    }

    #[test]
    fn client_variables_are_no_settings() {
        assert!(read("", &[("OPENTACT_URL", "https://x"), ("OPENTACT_TOKEN", "t")], &[]).is_ok());
    }

    #[test]
    fn what_is_printed_reads_back_the_same_and_hides_secrets() {
        let loaded = read(
            "drain_timeout = 10\n",
            &[("OPENTACT_HTTP__EGRESS_ALLOW", "127.0.0.0/8,10.0.0.0/8"), ("OPENTACT_ADMIN_PASSWORD", "s3cret-s3cret")],
            &[],
        )
        .unwrap();
        let printed = loaded.print();
        assert!(!printed.contains("s3cret"), "{printed}");
        assert!(printed.contains("# environment OPENTACT_HTTP__EGRESS_ALLOW"), "{printed}");
        let again = read(&printed, &[("OPENTACT_ADMIN_PASSWORD", "s3cret-s3cret")], &[]).unwrap();
        assert_eq!(again.config, loaded.config);
    }
}
