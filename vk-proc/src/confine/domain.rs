//! The landlock domain of a worker: landlock(7).
//!
//! A process in a domain can't trace those outside of it, nor open their memory in `/proc`, whatever its user
//! is: that comes with any ruleset. So under the basic profile the ruleset is about something that no worker
//! does, the making of devices, and under the strict one about everything.

use super::Profile;
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};
use std::error::Error;
use std::io;

type Status = Result<RulesetStatus, Box<dyn Error + Send + Sync>>;

/// The oldest that a supported kernel has (Linux 5.19).
const OLDEST: ABI = ABI::V2;

/// The newest whose rights to files were looked through (Linux 6.15).
const NEWEST: ABI = ABI::V7;

/// Enters a domain of its own.
pub fn enter(profile: Profile) -> io::Result<()> {
    let status = match profile {
        Profile::Strict => no_files(),
        Profile::Basic | Profile::Off => no_devices(),
    };
    match status.map_err(io::Error::other)? {
        RulesetStatus::NotEnforced => Err(io::ErrorKind::Unsupported.into()),
        _ => Ok(()),
    }
}

fn no_devices() -> Status {
    let devices = AccessFs::MakeBlock | AccessFs::MakeChar;
    // A ruleset that doesn't speak of it forbids renaming between directories.
    let ruleset = Ruleset::default().handle_access(devices | AccessFs::Refer)?.create()?;
    let ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::Refer))?;
    Ok(ruleset.restrict_self()?.ruleset)
}

fn no_files() -> Status {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(OLDEST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?;
    Ok(ruleset.create()?.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::thread;

    /// What `look` says in a thread that has entered a domain, which is a thread's own.
    fn within<T: Send + 'static>(profile: Profile, look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let thread = thread::spawn(move || match enter(profile) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                eprintln!("skipped: this kernel has no landlock");
                None
            }
            entered => {
                entered.unwrap();
                Some(look())
            }
        });
        thread.join().unwrap()
    }

    #[test]
    fn a_strict_domain_has_no_files() {
        let look = || File::open("/etc/passwd").err().map(|error| error.kind());
        if let Some(error) = within(Profile::Strict, look) {
            assert_eq!(error, Some(ErrorKind::PermissionDenied));
        }
    }

    #[test]
    fn a_basic_domain_has_files_and_no_memory_of_others() {
        let memory = format!("/proc/{}/mem", std::os::unix::process::parent_id());
        if File::open(&memory).is_err() {
            eprintln!("skipped: nobody may open the memory of others here");
            return;
        }
        let look =
            move || (fs::read("/etc/passwd").is_ok(), File::open(memory).err().map(|error| error.kind()));
        if let Some(seen) = within(Profile::Basic, look) {
            assert_eq!(seen, (true, Some(ErrorKind::PermissionDenied)));
        }
    }
}
