//! The tool `vk`: looks after running applications.
//!
//! ```text
//! vk reload PID ── SIGHUP ──► keeper          vk ps ──► /proc/*/fd: control pages
//!    │                          │ counts        │
//!    └──── reads ─ control page ◄──┘               └─ reads ── control page
//!
//! vk watch: runs a keeper as its child, and reloads it each time its binary was replaced
//! ```
//!
//! Invariants: a signal goes to nobody but a keeper and `watch`'s own child; what a control page says is shown or
//! compared, and never believed.
#![forbid(unsafe_code)]

mod binary;
mod keeper;
mod process;
mod ps;
mod reload;
mod watch;

use clap::{Arg, ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

fn command() -> Command {
    let pid =
        |help: &'static str| Arg::new("pid").value_name("PID").value_parser(value_parser!(u32)).help(help);
    let timeout = Arg::new("timeout")
        .long("timeout")
        .value_name("SECONDS")
        .value_parser(value_parser!(u64).range(1..=31_536_000))
        .default_value("60")
        .help("How long to wait for the outcome");
    Command::new("vk")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Looks after applications that are made with vk")
        .subcommand_required(true)
        .subcommand(
            Command::new("reload")
                .about("Lets an application go on with the build that lies at its path now")
                .arg(pid("Its keeper's process").required(true))
                .arg(timeout.clone())
                .after_help("The exit status is 0 once the new build serves, and 1 otherwise; then one line says why."),
        )
        .subcommand(
            Command::new("ps")
                .about("Shows keepers and their workers")
                .arg(pid("Shows this keeper only [default: all that you may look at]")),
        )
        .subcommand(
            Command::new("watch")
                .about("Runs an application, and reloads it each time it was built")
                .arg(timeout)
                .arg(
                    Arg::new("command")
                        .value_name("COMMAND")
                        .value_parser(value_parser!(OsString))
                        .num_args(1..)
                        .required(true)
                        .trailing_var_arg(true)
                        .help("The application's binary, and its arguments"),
                )
                .after_help(
                    "An application that fails is started again once it was built. The exit status is the \
                     application's.",
                ),
        )
}

fn run(matches: &ArgMatches) -> Result<ExitCode, String> {
    let (name, matches) = matches.subcommand().expect("clap requires one");
    let timeout = || Duration::from_secs(*matches.get_one("timeout").expect("it has a default"));
    match name {
        "reload" => reload::reload(*matches.get_one("pid").expect("clap requires it"), timeout()),
        "ps" => ps::ps(matches.get_one("pid").copied()),
        _ => {
            let words: Vec<&OsString> = matches.get_many("command").expect("clap requires it").collect();
            watch::watch(words[0], &words[1..], timeout())
        }
    }
}

fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        // `--help` and `--version` come here, too.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    run(&matches).unwrap_or_else(|error| {
        eprintln!("vk: {error}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_is_consistent() {
        super::command().debug_assert();
    }
}
