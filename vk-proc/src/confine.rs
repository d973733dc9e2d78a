//! What a worker gives up before it serves: a handler that an attacker has taken over has the worker's
//! micro-processes, and should not have its keeper, its neighbours or the machine as well.
//!
//! ```text
//! keeper ──► holder: no new privileges ─► seccomp ──► worker: user ─► core dumps ─► landlock ─► seccomp ─► serves
//!                    └──── basic and strict ────┘            └──── always ───┘     └ basic and strict ┘
//! ```
//!
//! | | `off` | `basic` | `strict` |
//! |---|---|---|---|
//! | signal others, trace others, change the machine | yes | no | no |
//! | open files, run programs | yes | yes | no |
//! | connect, use the descriptors it has, start threads | yes | yes | yes |
//! | listen | yes | yes | no |
//! | io_uring | yes | yes | no |
//! | leave a core dump, if not asked for | yes | no | no |
//!
//! Invariants:
//! - nothing that was given up comes back, for this process, its threads, and what it executes;
//! - each worker is a landlock domain of its own: not even its fellow workers, of the same user, can be
//!   traced, or read and written through `/proc`.

mod calls;
mod domain;
mod user;

pub use user::User;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use std::io;
use std::str::FromStr;

/// How much is given up. The default keeps ordinary handlers working.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Nothing: for debuggers and profilers.
    Off,
    /// What no worker ever needs. A call that is refused answers EPERM. A program that a handler executes
    /// lives with the same, so it can't signal even itself.
    #[default]
    Basic,
    /// Everything but what the worker loop, connections and threads need: see the table above. A call that is
    /// refused answers EPERM and doesn't end the worker: a library that asks for something optional goes on
    /// without, and a client who makes a handler ask has no way to end its neighbours.
    Strict,
}

impl Profile {
    /// Whether a worker may wait with io_uring; else its poller is epoll. Seccomp does not see what a ring is
    /// told to do, so a strict profile that allowed rings would be none.
    pub const fn allows_uring(self) -> bool {
        !matches!(self, Profile::Strict)
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Profile::Off),
            "basic" => Ok(Profile::Basic),
            "strict" => Ok(Profile::Strict),
            _ => Err("off, basic or strict is expected".into()),
        }
    }
}

/// What a worker is to give up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// How much.
    pub profile: Profile,
    /// Whom to become; the keeper stays who it is.
    pub user: Option<User>,
    /// Whether a core dump is written when it dies of a signal: an arena holds what clients have sent. How
    /// large it gets is RLIMIT_CORE's.
    pub core_dumps: bool,
}

/// Confines a holder, for good, in what its workers give up anyway: they inherit it, and start sooner.
///
/// # Errors
/// Those of prctl(2) and seccomp(2), each with what was tried; not if the kernel has no seccomp, which is the worker's to say.
pub fn holder(profile: Profile) -> io::Result<()> {
    if profile == Profile::Off {
        return Ok(());
    }
    prctl::set_no_new_privs().map_err(|error| tried("PR_SET_NO_NEW_PRIVS", error))?;
    match calls::refuse_harmful() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(tried("seccomp", error)),
        _ => Ok(()),
    }
}

/// Confines this process, for good. To be called by a worker, of a [holder] that is confined, once, when it has what it needs and
/// before it serves; no thread may have been started yet, since a thread keeps what it has.
///
/// A kernel that knows no seccomp or no landlock is an error under [`Profile::Strict`] and a line in the log
/// under [`Profile::Basic`]. Any other failure is an error: confinement never weakens for want of a descriptor.
///
/// # Errors
/// Those of setgroups(2), setresuid(2), prctl(2), setrlimit(2), seccomp(2) and landlock(7), each with what was
/// tried.
pub fn worker(confinement: &Confinement) -> io::Result<()> {
    if let Some(user) = confinement.user {
        user.become_it()?;
    }
    if confinement.core_dumps {
        // Becoming another user has taken it away.
        prctl::set_dumpable(true).map_err(|error| tried("PR_SET_DUMPABLE", error))?;
    } else if confinement.profile != Profile::Off {
        no_core_dumps()?;
    }
    if confinement.profile == Profile::Off {
        return Ok(());
    }
    // Seccomp last: it refuses what the others need.
    let steps = [("landlock", domain::enter as fn(Profile) -> io::Result<()>), ("seccomp", calls::refuse)];
    for (what, step) in steps {
        match step(confinement.profile) {
            Err(error) if confinement.profile == Profile::Strict => {
                return Err(tried(&format!("the strict profile needs {what}"), error));
            }
            // A kernel without it; anything else, a full table say, is no reason to go on without.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(%error, "this kernel has no {what}: this worker is confined without");
            }
            Err(error) => return Err(tried(what, error)),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Not being dumpable holds where the limit does not: `core_pattern` may name a program. It keeps others of
/// the same user from tracing this process, too.
fn no_core_dumps() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|error| tried("RLIMIT_CORE", error))?;
    prctl::set_dumpable(false).map_err(|error| tried("PR_SET_DUMPABLE", error))
}

/// The error, with what was tried.
fn tried(what: &str, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
