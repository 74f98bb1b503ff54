//! The command line.

mod admin;
mod check;
mod flow;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, ArgMatches, Args, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::client;
use crate::config::{self, Loaded, Setting};

/// Voice, SMS and numbers with a REST API, on one binary.
#[derive(Debug, Parser)]
#[command(name = "opentact", version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// Run the server.
    Serve(Serve),
    /// Check configuration, certificate and ports, and end.
    Check(Configured),
    /// Users, balances and keys, straight in the database.
    Admin(AdminCommand),
    /// Work with call-control XML.
    #[command(subcommand)]
    Flow(Flow),
    /// Call a number through a running server and print the call's events until it is over.
    Call(client::call::Call),
    /// Send an SMS through a running server and print its states until it is delivered or has failed.
    Sms(client::sms::Sms),
    /// Look for, order and list numbers of a running server.
    #[command(subcommand)]
    Numbers(client::numbers::Numbers),
    /// Events of a running server.
    #[command(subcommand)]
    Events(client::events::Events),
    /// Print the steps that a call's flow ran, or the newest calls.
    Logs(client::logs::Logs),
    /// SIP as a running server on this machine sees it.
    #[command(subcommand)]
    Sip(client::sip::Sip),
    /// Print the reference of all settings as Markdown.
    #[command(hide = true)]
    Reference,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    configured: Configured,
    /// Print the configuration and where each value comes from, and end.
    #[arg(long)]
    print_config: bool,
}

#[derive(Debug, Args)]
struct Configured {
    /// TOML file of settings.
    #[arg(long, value_name = "FILE", env = "OPENTACT_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct AdminCommand {
    #[command(flatten)]
    configured: Configured,
    #[command(subcommand)]
    command: admin::Admin,
}

#[derive(Debug, Subcommand)]
enum Flow {
    /// Check a file; print every fault with its line and column.
    Check {
        #[arg(value_name = "FILE.xml")]
        file: PathBuf,
    },
    /// Print the description of the language: an XML Schema for editors, or JSON.
    Schema {
        #[arg(long, value_enum, default_value_t = flow::Format::Xsd)]
        format: flow::Format,
    },
}

/// One flag a setting, `--section.name VALUE`, for the commands that read the configuration.
fn with_setting_flags(command: Command) -> Command {
    config::all_settings().fold(command, |command, setting| {
        command.arg(
            clap::Arg::new(setting.key)
                .long(setting.key)
                .value_name(setting.kind)
                .help(setting.doc.trim())
                .help_heading("Settings")
                .action(ArgAction::Set)
                .hide_short_help(setting.key != "data")
                .allow_hyphen_values(false),
        )
    })
}

fn command() -> Command {
    Cli::command()
        .mut_subcommand("serve", |serve| {
            with_setting_flags(serve).after_help("--help lists the flags of all settings.")
        })
        .mut_subcommand("check", with_setting_flags)
        .mut_subcommand("admin", with_setting_flags)
}

/// The settings given as flags.
fn setting_flags(matches: &ArgMatches) -> Vec<(String, String)> {
    let given = |setting: &Setting| {
        let value = matches.try_get_one::<String>(setting.key).ok().flatten()?;
        Some((setting.key.to_owned(), value.clone()))
    };
    config::all_settings().filter_map(given).collect()
}

fn load(configured: &Configured, matches: &ArgMatches) -> Result<Loaded, config::Faults> {
    Loaded::read(configured.config.as_deref(), environment(), &setting_flags(matches))
}

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    let matches = command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(fault) => fault.exit(),
    };
    let Some((_, chosen)) = matches.subcommand() else { return ExitCode::FAILURE };
    let result = match cli.command {
        Subject::Serve(serve) => match load(&serve.configured, chosen) {
            Ok(loaded) if serve.print_config => {
                print!("{}", loaded.print());
                Ok(ExitCode::SUCCESS)
            }
            Ok(loaded) => serve::run(&loaded.config),
            Err(faults) => Err(faults.into()),
        },
        Subject::Check(configured) => match load(&configured, chosen) {
            Ok(loaded) => check::run(&loaded.config),
            Err(faults) => Err(faults.into()),
        },
        Subject::Admin(admin) => match load(&admin.configured, chosen) {
            Ok(loaded) => admin::run(&loaded.config, admin.command),
            Err(faults) => Err(faults.into()),
        },
        Subject::Flow(Flow::Check { file }) => flow::check(&file),
        Subject::Flow(Flow::Schema { format }) => flow::schema(format),
        Subject::Call(call) => client::run(call.run()),
        Subject::Sms(sms) => client::run(sms.run()),
        Subject::Numbers(numbers) => client::run(numbers.run()),
        Subject::Events(events) => client::run(events.run()),
        Subject::Logs(logs) => client::run(logs.run()),
        Subject::Sip(sip) => client::run(sip.run()),
        Subject::Reference => {
            print!("{}", config::reference());
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|fault| {
        eprintln!("opentact: {fault:#}");
        ExitCode::FAILURE
    })
}

/// The environment's readable part; what is not UTF-8 cannot be a setting of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
