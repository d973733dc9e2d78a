//! Whom a worker becomes: `NAME` or `UID`, each with `:GROUP` or `:GID`.

use super::tried;
use nix::sys::{prctl, signal};
use nix::unistd::{self, Gid, Group, Uid, getppid};
use std::io;
use std::str::FromStr;

/// A user and a group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: Uid,
    gid: Gid,
}

impl FromStr for User {
    type Err = String;

    /// Looks names up (getpwnam(3), getgrnam(3)), so that a worker, which may not be able to, needn't. Without a
    /// group it is that of the user's entry.
    ///
    /// # Errors
    /// Says which name has no entry, or which number nobody can have; that this process isn't root.
    fn from_str(text: &str) -> Result<Self, String> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let failed = |error| format!("can't look {text:?} up: {error}");
        let (uid, entry) = match number(user)? {
            Some(uid) => {
                let uid = Uid::from_raw(uid);
                (uid, unistd::User::from_uid(uid).map_err(failed)?)
            }
            None => {
                let entry = unistd::User::from_name(user).map_err(failed)?;
                let entry = entry.ok_or_else(|| format!("there is no user {user:?}"))?;
                (entry.uid, Some(entry))
            }
        };
        let gid = match group.map(|group| Ok::<_, String>((group, number(group)?))).transpose()? {
            Some((_, Some(gid))) => Gid::from_raw(gid),
            Some((name, None)) => {
                let entry = Group::from_name(name).map_err(failed)?;
                entry.ok_or_else(|| format!("there is no group {name:?}"))?.gid
            }
            None => entry.ok_or_else(|| format!("user {uid} has no entry: give its group, {uid}:GID"))?.gid,
        };
        if !Uid::effective().is_root() {
            return Err("only root can become another user".into());
        }
        Ok(User { uid, gid })
    }
}

/// None if it is a name; an error if it is a number that nobody can have: setresuid(2) takes -1 for "as it is".
fn number(text: &str) -> Result<Option<u32>, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|id| *id != u32::MAX);
    number.map(Some).ok_or_else(|| format!("{text} is out of range"))
}

impl User {
    /// Becomes it, for good, without supplementary groups.
    pub(super) fn become_it(self) -> io::Result<()> {
        let User { uid, gid } = self;
        let (keeper, at_its_death) = (getppid(), prctl::get_pdeathsig()?);
        // The user last: only root may change the others.
        unistd::setgroups(&[]).map_err(|error| tried("setgroups", error))?;
        unistd::setresgid(gid, gid, gid).map_err(|error| tried(&format!("becoming group {gid}"), error))?;
        unistd::setresuid(uid, uid, uid).map_err(|error| tried(&format!("becoming user {uid}"), error))?;
        // A change of user clears the signal that the kernel sends when the keeper dies, PR_SET_PDEATHSIG(2const);
        // the keeper may have died meanwhile.
        if let Some(signal) = at_its_death {
            prctl::set_pdeathsig(signal)?;
            if getppid() != keeper {
                signal::raise(signal)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_an_entry_or_is_given_with_a_group() {
        let error = |text: &str| text.parse::<User>().unwrap_err();
        assert_eq!(error("no-such-user"), "there is no user \"no-such-user\"");
        assert_eq!(error("0:no-such-group"), "there is no group \"no-such-group\"");
        assert_eq!(error("4294967295:0"), "4294967295 is out of range");
        assert_eq!(error("0:4294967296"), "4294967296 is out of range");
        assert_eq!(error("4000000001"), "user 4000000001 has no entry: give its group, 4000000001:GID");
        for wrong in ["", ":", ":0", "0:", "-1", "a\0b"] {
            error(wrong);
        }
        if Uid::effective().is_root() {
            let (zero, other) = (Uid::from_raw(0), Uid::from_raw(4_000_000_001));
            assert_eq!("root".parse(), Ok(User { uid: zero, gid: Gid::from_raw(0) }));
            assert_eq!("0".parse(), Ok(User { uid: zero, gid: Gid::from_raw(0) }));
            assert_eq!("root:7".parse(), Ok(User { uid: zero, gid: Gid::from_raw(7) }));
            assert_eq!("4000000001:root".parse(), Ok(User { uid: other, gid: Gid::from_raw(0) }));
        }
    }
}
