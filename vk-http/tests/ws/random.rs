//! Random messages in random fragments, chunks and company.

use crate::frames::{answers, close, masked, plain};
use proptest::prelude::*;

/// A message: text or not, its bytes, where it is cut into frames, and after which frames a ping comes.
fn message() -> impl Strategy<Value = (bool, Vec<u8>, Vec<prop::sample::Index>, Vec<bool>)> {
    let length = prop_oneof![0..20usize, 100..200usize, 65_500..65_600usize];
    let bytes = prop_oneof![
        "\\PC{0,40}".prop_map(|text| (true, text.into_bytes())),
        (length, any::<u8>()).prop_map(|(length, step)| {
            (false, (0..length).map(|n| (n as u8).wrapping_mul(step)).collect())
        }),
    ];
    (
        bytes,
        prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        prop::collection::vec(any::<bool>(), 6),
    )
        .prop_map(|((text, bytes), cuts, pings)| (text, bytes, cuts, pings))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn comes_back_as_it_was(
        messages in prop::collection::vec(message(), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        code in prop_oneof![1000..1004u16, 3000..5000u16],
    ) {
        let (mut input, mut expected) = (Vec::new(), Vec::new());
        for (text, bytes, fragments, pings) in &messages {
            let mut ends: Vec<usize> = fragments.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            ends.sort_unstable();
            ends.push(bytes.len());
            let (mut begin, last) = (0, ends.len() - 1);
            for (number, end) in ends.into_iter().enumerate() {
                let opcode = match (number, text) {
                    (0, true) => 1,
                    (0, false) => 2,
                    _ => 0,
                };
                let fin = if number == last { 0x80 } else { 0 };
                input.extend(masked(fin | opcode, &bytes[begin..end]));
                begin = end;
                if pings[number] && number < last {
                    input.extend(masked(0x89, &[number as u8]));
                    expected.extend(plain(0x8a, &[number as u8]));
                }
            }
            expected.extend(plain(if *text { 0x81 } else { 0x82 }, bytes));
        }
        input.extend(masked(0x88, &code.to_be_bytes()));
        expected.extend(close(code));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert!(answers(&input, &cuts) == expected);
    }

    /// Whatever comes, it comes to an end, the same however it is cut.
    #[test]
    fn any_bytes(
        parts in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            (any::<u8>(), prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(first, payload)| masked(first, &payload)),
            (0..3u8, any::<bool>()).prop_map(|(first, fin)| masked(first | if fin { 0x80 } else { 0 }, b"a")),
        ], 0..8),
        size in 1usize..20,
    ) {
        let input = parts.concat();
        let cuts: Vec<usize> = (0..input.len()).step_by(size).collect();
        prop_assert_eq!(answers(&input, &cuts), answers(&input, &[]));
    }
}
