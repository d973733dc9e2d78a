//! The groups of cases of the Autobahn test suite.

use crate::frames::{LIMIT, check, close, masked, plain};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// The client's end without a close.
const END: u16 = 1001;

#[test]
fn group_1_framing() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, LIMIT as usize] {
        for (first, byte) in [(TEXT, b'*'), (BINARY, 0xfe)] {
            let payload = vec![byte; length];
            let input = [masked(first, &payload), masked(CLOSE, b"\x03\xe8")].concat();
            check(&format!("{length} bytes"), &input, &[plain(first, &payload), close(1000)].concat());
        }
    }
}

/// Nothing is waited for that does not belong to the frame.
#[test]
fn a_short_frame_comes_behind_a_long_one() {
    let payload = [0; 126];
    let input = [masked(BINARY, &payload).repeat(2), masked(PING, b"")].concat();
    let expected = [plain(BINARY, &payload).repeat(2), plain(PONG, b""), close(END)].concat();
    check("short behind long", &input, &expected);
}

#[test]
fn group_2_pings_and_pongs() {
    let full = [0xff; 125];
    for (name, input, expected) in [
        ("2.1", masked(PING, b""), plain(PONG, b"")),
        ("2.2", masked(PING, b"Hello"), plain(PONG, b"Hello")),
        ("2.3", masked(PING, &[0, 0xff, 0xfe, 0xfd]), plain(PONG, &[0, 0xff, 0xfe, 0xfd])),
        ("2.4", masked(PING, &full), plain(PONG, &full)),
        ("2.7", masked(PONG, b""), vec![]),
        ("2.8", masked(PONG, b"unasked"), vec![]),
        ("2.9", [masked(PONG, b"unasked"), masked(PING, b"a")].concat(), plain(PONG, b"a")),
        ("2.10", masked(PING, b"n").repeat(10), plain(PONG, b"n").repeat(10)),
    ] {
        check(name, &input, &[expected, close(END)].concat());
    }
    check("2.5", &masked(PING, &[0xfe; 126]), &close(1002));
}

#[test]
fn group_3_reserved_bits() {
    for reserved in 1..8u8 {
        for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
            let input = [masked(TEXT, b"before"), masked(opcode | reserved << 4, b""), masked(PING, b"")];
            check(&format!("3.{reserved}"), &input.concat(), &[plain(TEXT, b"before"), close(1002)].concat());
        }
    }
}

#[test]
fn group_4_opcodes() {
    for opcode in (3..8).chain(11..16) {
        let input = [masked(TEXT, b"before"), masked(0x80 | opcode, b"payload"), masked(PING, b"")];
        check(&format!("opcode {opcode}"), &input.concat(), &[plain(TEXT, b"before"), close(1002)].concat());
    }
}

#[test]
fn group_5_fragments() {
    let (begin, middle, last) = (masked(0x01, b"frag"), masked(0x00, b"men"), masked(0x80, b"t"));
    let fragment = plain(TEXT, b"fragment");
    let ping = masked(PING, b"!");
    for (name, input, expected, code) in [
        ("5.1", vec![masked(0x09, b"frag"), masked(0x80, b"ment")], vec![], 1002),
        ("5.2", vec![masked(0x0a, b"frag"), masked(0x80, b"ment")], vec![], 1002),
        ("5.3", vec![begin.clone(), middle.clone(), last.clone()], vec![fragment.clone()], END),
        (
            "5.6",
            vec![begin.clone(), ping.clone(), middle.clone(), ping.clone(), last.clone()],
            vec![plain(PONG, b"!"), plain(PONG, b"!"), fragment.clone()],
            END,
        ),
        ("5.9", vec![masked(0x80, b"alone"), masked(TEXT, b"")], vec![], 1002),
        ("5.12", vec![masked(0x00, b"alone"), masked(TEXT, b"")], vec![], 1002),
        ("5.15", vec![begin.clone(), last.clone(), middle.clone()], vec![plain(TEXT, b"fragt")], 1002),
        ("5.18", vec![begin.clone(), masked(TEXT, b"other")], vec![], 1002),
        (
            "empty fragments",
            vec![masked(0x01, b""), masked(0x00, b""), masked(0x80, b"")],
            vec![plain(TEXT, b"")],
            END,
        ),
        ("a message without an end", vec![begin, middle], vec![], END),
        (
            "fragments of bytes",
            vec![masked(0x02, b"\xff"), masked(0x80, b"\xfe")],
            vec![plain(BINARY, b"\xff\xfe")],
            END,
        ),
    ] {
        check(name, &input.concat(), &[expected.concat(), close(code)].concat());
    }
}

/// UTF-8 of each length and at the ends of each range, and non-characters, which are allowed.
const TEXTS: &[&str] = &[
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\0",
    "\u{7f}",
    "\u{80}",
    "\u{7ff}",
    "\u{800}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "\u{d7ff}\u{e000}\u{fffd}",
    "\u{fffe}",
    "\u{1fffe}\u{1ffff}\u{10fffe}",
    "\u{feff}",
];

/// What is not UTF-8, and which byte says so first: what begins too short, too long, or alone.
const NOT_TEXTS: &[(&[u8], usize)] = &[
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 13),
    (b"\xce\xba\xf4\x90\x80\x80edited", 4),
    (b"\xf8\x88\x80\x80\x80", 1),
    (b"\xfc\x84\x80\x80\x80\x80", 1),
    (b"\xf7\xbf\xbf\xbf", 1),
    (b"\xfb\xbf\xbf\xbf\xbf", 1),
    (b"\xfd\xbf\xbf\xbf\xbf\xbf", 1),
    (b"\x80", 1),
    (b"\xbf", 1),
    (b"\x80\xbf\x80", 1),
    (b"a\x80", 2),
    (b"\xc0 \xc1 ", 1),
    (b"\xe0 \xe1 ", 2),
    (b"\xf0 \xf1 ", 2),
    (b"\xdf ", 2),
    (b"\xef\xbf ", 3),
    (b"\xf4\x8f\xbf ", 4),
    (b"\xfe", 1),
    (b"\xff", 1),
    (b"\xc0\xaf", 1),
    (b"\xe0\x80\xaf", 2),
    (b"\xf0\x80\x80\xaf", 2),
    (b"\xc1\xbf", 1),
    (b"\xe0\x9f\xbf", 2),
    (b"\xf0\x8f\xbf\xbf", 2),
    (b"\xed\xa0\x80", 2),
    (b"\xed\xbf\xbf", 2),
    (b"\xed\xa0\x80\xed\xb0\x80", 2),
    (b"\xf4\x90\x80\x80", 2),
];

#[test]
fn group_6_text() {
    for text in TEXTS {
        let whole = masked(TEXT, text.as_bytes());
        let mut bytes: Vec<u8> = masked(0x01, b"");
        text.bytes().for_each(|byte| bytes.extend(masked(0x00, &[byte])));
        bytes.extend(masked(0x80, b""));
        for input in [whole, bytes] {
            check(text, &input, &[plain(TEXT, text.as_bytes()), close(END)].concat());
        }
    }
    for (wrong, at) in NOT_TEXTS {
        let name = wrong.escape_ascii().to_string();
        // As soon as it is known, with nothing behind it; and before that, the connection only ends.
        check(&name, &masked(0x01, &wrong[..*at]), &close(1007));
        check(&name, &masked(0x01, &wrong[..*at - 1]), &close(END));
        let frame = masked(TEXT, wrong);
        let head = frame.len() - wrong.len();
        check(&name, &frame[..head + at], &close(1007));
        check(&name, &[frame, masked(PING, b"")].concat(), &close(1007));
        // Any bytes are bytes.
        check(&name, &masked(BINARY, wrong), &[plain(BINARY, wrong), close(END)].concat());
    }
    for cut in [&b"\xce"[..], b"\xe1\xbd", b"\xf0\x9f\x98"] {
        check("a cut character", &masked(TEXT, cut), &close(1007));
        check("a cut character", &[masked(0x01, cut), masked(0x80, b"")].concat(), &close(1007));
    }
}

#[test]
fn group_7_close() {
    let after = [masked(TEXT, b"late"), masked(PING, b"late"), masked(CLOSE, b"")].concat();
    let answered = |payload: &[u8], answer: Vec<u8>| {
        let input = [masked(TEXT, b"before"), masked(CLOSE, payload), after.clone()].concat();
        check(&payload.escape_ascii().to_string(), &input, &[plain(TEXT, b"before"), answer].concat());
    };
    answered(b"", plain(CLOSE, b""));
    answered(b"\x03", close(1002));
    answered(b"\x03\xe8", close(1000));
    answered("\u{3}\u{0}reason".as_bytes(), close(1002));
    answered(&[b"\x03\xe8", &[b'*'; 123][..]].concat(), close(1000));
    answered(&[b"\x03\xe8", &[b'*'; 124][..]].concat(), close(1002));
    answered(b"\x03\xe8\xce\xba\xed\xa0\x80", close(1007));
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999u16] {
        answered(&[&code.to_be_bytes()[..], b"why"].concat(), close(code));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535u16] {
        answered(&code.to_be_bytes(), close(1002));
    }
    // Within a message.
    let input = [masked(0x01, b"frag"), masked(CLOSE, b"\x03\xe8"), masked(0x80, b"ment")].concat();
    check("7.1.5", &input, &close(1000));
}

#[test]
fn group_9_limits() {
    for size in [64, 1000, 4096, 100_000] {
        let payload: Vec<u8> = (0..LIMIT).map(|n| (n % 251) as u8).collect();
        let mut input = masked(0x02, b"");
        payload.chunks(size).for_each(|piece| input.extend(masked(0x00, piece)));
        let whole = [input.clone(), masked(0x80, b"")].concat();
        check("the largest", &whole, &[plain(BINARY, &payload), close(END)].concat());
        input.extend(masked(0x80, b"1"));
        check("one byte more", &input, &close(1009));
    }
    let announced = &masked(BINARY, &vec![0; LIMIT as usize + 1])[..14];
    check("announced", announced, &close(1009));
}

#[test]
fn masks_and_lengths() {
    for wrong in [
        plain(TEXT, b"no mask"),
        plain(PING, b""),
        b"\x81\xfe\x00\x7dmask".to_vec(),
        b"\x81\xff\0\0\0\0\0\0\xff\xffmask".to_vec(),
        b"\x81\xff\x80\0\0\0\0\0\0\0mask".to_vec(),
    ] {
        check(&wrong.escape_ascii().to_string(), &wrong, &close(1002));
    }
}
