//! What happens where a ring goes round the end of its storage, and what is refused.

use bytes::Buf;
use std::io::IoSlice;
use vk_vectoring::{Ring, Vectoring};

/// Runs `test` on a ring of 8 bytes that holds `unread`, the first of them at index `at`.
fn with(at: usize, unread: &[u8], test: impl FnOnce(Vectoring<'_>)) {
    let (mut ring, mut storage) = (Ring::new(8), [b'.'; 8]);
    let mut vectoring = ring.over(&mut storage);
    // A ring starts over when it is empty: one byte stays until the bytes proper have begun.
    vectoring.produced(at);
    vectoring.consumed(at.saturating_sub(1));
    vectoring.write(unread);
    vectoring.skip(at.min(1));
    vectoring.write(&unread[vectoring.ring().len()..]);
    assert_eq!(vectoring.readable().concat(), unread);
    test(vectoring);
}

#[test]
fn a_ring_shows_its_bytes_as_one_or_two_slices() {
    with(2, b"abc", |mut bytes| {
        assert_eq!(bytes.readable(), [b"abc", &b""[..]]);
        assert_eq!(bytes.writable().map(|slice| slice.len()), [3, 2]);
    });
    with(5, b"abc", |mut bytes| {
        assert_eq!(bytes.readable(), [b"abc", &b""[..]]);
        assert_eq!(bytes.writable().map(|slice| slice.len()), [5, 0]);
    });
    with(6, b"abc", |mut bytes| {
        assert_eq!(bytes.readable(), [b"ab", &b"c"[..]]);
        assert_eq!(bytes.writable().map(|slice| slice.len()), [5, 0]);
    });
    with(6, b"abcdefgh", |mut bytes| {
        assert_eq!(bytes.readable(), [b"ab", &b"cdefgh"[..]]);
        assert_eq!(bytes.writable().map(|slice| slice.len()), [0, 0]);
        assert_eq!(bytes.write(b"i"), 0);
    });
}

#[test]
fn an_empty_ring_starts_over() {
    with(6, b"abc", |mut bytes| {
        assert_eq!(bytes.skip(3), 3);
        assert_eq!(bytes.writable().map(|slice| slice.len()), [8, 0]);
        assert_eq!((bytes.ring().head(), bytes.ring().tail()), (9, 9));
    });
}

/// `\r\n\r\n` at every index of a ring that is otherwise full of what looks like its beginning.
#[test]
fn a_needle_is_found_wherever_the_seam_cuts_it() {
    for at in 0..8 {
        with(at, b"\r\n\r\r\n\r\n!", |bytes| {
            assert_eq!(bytes.find_slice(b"\r\n\r\n", 0), Some(3), "ring at {at}");
            assert_eq!(bytes.find_slice(b"\r\n\r\n", 3), Some(3), "ring at {at}");
            assert_eq!(bytes.find_slice(b"\r\n\r\n", 4), None, "ring at {at}");
            assert_eq!(bytes.find_slice(b"\r\n", 1), Some(3), "ring at {at}");
            assert_eq!(bytes.find_slice(b"\r\n\r\r\n\r\n!!", 0), None, "longer than all");
            assert_eq!(bytes.find(b'!', 0), Some(7));
            assert_eq!((bytes.find_slice(b"", 8), bytes.find_slice(b"", 9)), (Some(8), None));
            assert_eq!((bytes.find(b'!', 8), bytes.find(b'!', usize::MAX)), (None, None));
        });
    }
}

#[test]
fn linearising_moves_only_what_it_must() {
    let kept = |at, unread: &[u8]| {
        let mut kept = false;
        with(at, unread, |mut bytes| {
            let before = *bytes.ring();
            assert_eq!(bytes.contiguous(), unread);
            kept = *bytes.ring() == before;
        });
        kept
    };
    assert!(kept(4, b"abcd"), "up to the end");
    assert!(!kept(5, b"abcd"), "half full: copied into the free bytes");
    assert!(!kept(5, b"abcde"), "more than half full: rotated");
    assert!(!kept(7, b"abcdefgh"), "full: rotated");
}

#[test]
fn a_buf_reads_integers_across_the_seam() {
    with(7, &[1, 2, 3, 4, 5], |mut bytes| {
        assert_eq!(bytes.chunks_vectored(&mut [IoSlice::new(&[])]), 1, "no more than there is room for");
        assert_eq!(bytes.get_u32(), 0x0102_0304);
        assert_eq!(bytes.get_u8(), 5);
        assert!(!bytes.has_remaining());
    });
}

#[test]
fn rings_of_no_capacity_do_nothing() {
    let (mut ring, mut other) = (Ring::new(0), Ring::new(0));
    let mut nothing = ring.over(&mut []);
    assert_eq!((nothing.write(b"a"), nothing.read(&mut [0]), nothing.skip(1)), (0, 0, 0));
    assert_eq!(nothing.splice(&mut other.over(&mut []), 1), 0);
    assert_eq!(nothing.contiguous(), b"");
    nothing.rehouse(&mut [0; 3]);
    assert_eq!(ring, Ring::new(3));
}

#[test]
#[should_panic(expected = "not the ring's")]
fn a_foreign_storage_is_refused() {
    Ring::new(8).over(&mut [0; 9]);
}

#[test]
#[should_panic(expected = "more bytes produced")]
fn producing_more_than_is_free_is_refused() {
    with(6, b"abc", |mut bytes| bytes.produced(6));
}

#[test]
#[should_panic(expected = "more bytes consumed")]
fn consuming_more_than_is_unread_is_refused() {
    with(6, b"abc", |mut bytes| bytes.consumed(4));
}

#[test]
#[should_panic(expected = "too small")]
fn a_house_too_small_is_refused() {
    with(6, b"abc", |bytes| bytes.rehouse(&mut [0; 2]));
}
