//! `docs/configuration.md`, made from the table of settings.

use std::fmt::Write as _;

use super::SECTIONS;

const HEAD: &str = "# Configuration

<!-- Made by `opentact reference`; a test fails when it is not current. Do not edit. -->

Every setting can be written in three places; the later wins:

1. a TOML file, named by `--config FILE` (or `OPENTACT_CONFIG`): `[section]` and `name = value`;
2. the environment: `OPENTACT_SECTION__NAME=value` (settings outside a section: `OPENTACT_NAME=value`);
3. a flag of `opentact serve` and `opentact check`: `--section.name value`.

Lists in the environment and in flags are comma-separated or a JSON array of strings. Durations are written `500ms`, `30s`,
`10m`, `2h`, `30d`; sizes `64KiB`, `1MiB`. An unknown key or a bad value is an error that names the key and where it stands.
`opentact serve --print-config` shows the result and where each value comes from. Port `0` picks a free port; the
addresses in use stand in `runtime.json` in the data folder once the server is ready.
";

/// The Markdown text of the reference.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for (title, about, settings) in SECTIONS {
        let title = if title.starts_with(char::is_uppercase) { (*title).to_owned() } else { format!("`[{title}]`") };
        let _ = writeln!(text, "\n## {title}\n\n{}\n", about.trim());
        text.push_str("| setting | environment | kind | default | meaning |\n| --- | --- | --- | --- | --- |\n");
        for setting in *settings {
            let default = if setting.default.is_empty() { "–".to_owned() } else { format!("`{}`", setting.default) };
            let _ = writeln!(
                text,
                "| `{}` | `{}` | {} | {default} | {} |",
                setting.key,
                setting.variable(),
                setting.kind,
                setting.doc.trim()
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reference_in_docs_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == super::reference(), "run `opentact reference > docs/configuration.md`");
    }
}
