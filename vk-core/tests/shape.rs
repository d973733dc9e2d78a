//! Shapes that other builds wrote are claims: whatever the bytes, they are read or refused.

extern crate vk_core as vk;

use proptest::prelude::*;
use std::io;
use std::mem::MaybeUninit;
use vk_core::migrate::{Deadline, New, Old, Refused, migrate};
use vk_core::rt::Coroutine;
use vk_core::shape::Claim;
use vk_core::{Entry, Io, Line};

#[vk::coroutine]
fn chat(io: &mut Io) -> io::Result<()> {
    let mut line: Line<64> = Line::new();
    let mut seen: u64 = 0;
    while io.read_line(&mut line)? {
        seen += 1;
        greet(io, seen)?;
    }
    Ok(())
}

#[vk::coroutine]
fn greet(io: &mut Io, number: u64) -> io::Result<()> {
    write!(io, "{number}")?;
    io.flush()
}

const SIZE: u32 = size_of::<chat>() as u32;

/// Migrates a frame of an old build by what a claim says.
fn migrated(claim: &Claim, frame: &[u8], new: &mut [MaybeUninit<u8>]) -> Result<Deadline, Refused> {
    let fill = |old: &Old<'_>, new: &mut New<'_>| {
        let seen: u64 = old.get("seen").unwrap_or(7);
        new.set("seen", seen);
        new.set("line", Line::<64>::new());
    };
    #[expect(unsafe_code)]
    // SAFETY: what is read from it as a value is a number, which any bytes are.
    unsafe {
        migrate(claim, frame, chat::SHAPE, new, Some(fill))
    }
}

/// Uses all that a claim says.
fn believe(claim: &Claim, frame: &[u8]) {
    let mut new = [MaybeUninit::uninit(); SIZE as usize];
    for point in &claim.points {
        let mut frame = frame.to_vec();
        frame[..4].copy_from_slice(&point.pc.to_ne_bytes());
        let _ = migrated(claim, &frame, &mut new);
        let _ = migrated(claim, &frame[..10], &mut new);
        assert!(migrated(claim, &frame, &mut new[..2]).is_err(), "no room");
    }
    assert_eq!(migrated(claim, &frame[..3], &mut new), Err(Refused::NowhereKnown));
}

#[test]
fn a_shape_is_read_as_it_was_written() {
    let claim = Claim::decode(&chat::SHAPE.encode(), SIZE).unwrap();
    assert_eq!(claim.fields.len(), 2);
    for (read, written) in claim.fields.iter().zip(chat::SHAPE.fields) {
        assert_eq!((read.name.as_str(), read.layout), (written.name, written.layout));
        assert_eq!((read.offset, read.size), (written.offset, written.size));
    }
    let points = |pc, calls, live: &[u16]| (pc, calls, live.to_vec());
    let read: Vec<_> = claim.points.iter().map(|p| points(p.pc, p.calls, &p.live)).collect();
    assert_eq!(read, [points(1, false, &[0, 1]), points(3, true, &[0, 1])]);
    believe(&claim, &[0; SIZE as usize]);
}

#[test]
fn a_field_outside_of_the_frame_is_refused() {
    let last = chat::SHAPE.fields.last().unwrap();
    let end = last.offset + last.size;
    let bytes = chat::SHAPE.encode();
    assert!(Claim::decode(&bytes, end).is_some());
    assert_eq!(Claim::decode(&bytes, end - 1), None);
    assert_eq!(Claim::decode(&bytes[..bytes.len() - 1], SIZE), None, "cut short");
    assert_eq!(Claim::decode(&[&bytes[..], &[0]].concat(), SIZE), None, "more than it says");
}

/// One field and one point, from their parts.
fn claim(name: &[u8], offset: u32, size: u32, calls: u8, live: &[u16]) -> Option<Claim> {
    let mut bytes = vec![1, 0, name.len() as u8, 0];
    bytes.extend(name);
    bytes.extend([0; 8]);
    bytes.extend(offset.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend([1, 0]);
    bytes.extend([0; 12]);
    bytes.extend([calls, live.len() as u8, 0]);
    live.iter().for_each(|index| bytes.extend(index.to_le_bytes()));
    Claim::decode(&bytes, 100)
}

#[test]
fn each_claim_is_checked() {
    assert!(claim(b"x", 4, 96, 1, &[0]).is_some());
    assert_eq!(claim(b"\xff", 4, 96, 1, &[0]), None, "a name that isn't UTF-8");
    assert_eq!(claim(b"x", 3, 4, 1, &[0]), None, "over the program counter");
    assert_eq!(claim(b"x", 4, 97, 1, &[0]), None, "over the end");
    assert_eq!(claim(b"x", 8, u32::MAX, 1, &[0]), None, "around");
    assert_eq!(claim(b"x", 4, 96, 2, &[0]), None, "neither true nor false");
    assert_eq!(claim(b"x", 4, 96, 1, &[1]), None, "no such field");
    assert_eq!(claim(b"x", 4, 96, 1, &[0, 0]), None, "twice");
}

proptest! {
    #[test]
    fn whatever_the_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 0..200_u32) {
        if let Some(claim) = Claim::decode(&bytes, size) {
            believe(&claim, &[0xa5; 200]);
        }
    }

    #[test]
    fn whatever_the_damage(flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8), 1..4)) {
        let mut bytes = chat::SHAPE.encode();
        for (index, bit) in flips {
            let at = index.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
        }
        if let Some(claim) = Claim::decode(&bytes, SIZE) {
            believe(&claim, &[0; SIZE as usize]);
        }
    }
}

/// Found by name.
mod entries {
    use super::*;

    type Done = io::Result<()>;

    /// Its result has another name.
    #[vk::coroutine]
    pub fn aliased(io: &mut Io) -> Done {
        io.flush()
    }

    #[vk::coroutine]
    pub fn with_arguments(io: &mut Io, time: std::time::Duration) -> io::Result<()> {
        io.sleep(time)
    }

    #[vk::coroutine]
    pub fn another_result(io: &mut Io) -> io::Result<u8> {
        io.flush()?;
        Ok(1)
    }

    #[vk::coroutine]
    pub fn generic<const N: usize>(io: &mut Io) -> io::Result<()> {
        let line: Line<N> = Line::new();
        io.write_all(&line)
    }
}

#[test]
fn entries_are_found_by_name() {
    use entries::*;
    for (entry, is_handler) in
        [(Entry::of::<chat>(), true), (Entry::of::<aliased>(), true), (Entry::of::<with_arguments>(), false)]
    {
        assert!(std::ptr::eq(Entry::find(entry.name()).unwrap(), entry), "{entry:?}");
        assert_eq!(entry.is_handler(), is_handler, "{entry:?}");
    }
    assert!(std::ptr::eq(Entry::of::<aliased>(), Entry::handler::<aliased>()));
    assert!(Entry::find(another_result::NAME).is_none());
    assert!(Entry::find(generic::<1>::NAME).is_none());
    assert_eq!(Entry::of::<generic<1>>().name(), generic::<2>::NAME);
    let [one, other] = [Entry::of::<chat>(), Entry::handler::<aliased>()];
    assert_eq!((one.layout(), one.body()), (<chat as vk::rt::Frame>::LAYOUT, <chat as vk::rt::Frame>::BODY));
    assert!(one.layout() != other.layout() && one.body() != other.body());
    assert_eq!((one.frame_size(), one.shape().fields.len()), (SIZE, 2));
}
