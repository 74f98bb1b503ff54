//! `opentact`: configuration, wiring, command line. What a call, a message or a number is, the rooms know.

mod banner;
mod cli;
mod client;
mod config;
mod files;
mod first_start;
mod listen;
mod runtime;
mod serve;
mod signals;
mod sip_watch;
mod stir;
mod telemetry;
mod tls;
mod wire;

/// malloc was 15 % of the CPU of a comparable SIP server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
