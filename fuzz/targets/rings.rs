//! Two rings do what two queues do, whatever is asked of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use vk_vectoring::{Ring, exchange};

fuzz_target!(|input: &[u8]| {
    let capacity = 1 + usize::from(input.first().copied().unwrap_or(0) % 32);
    let mut rings = [Ring::new(capacity as u32); 2];
    let mut storages = [vec![0; capacity], vec![0; capacity]];
    let mut models = [VecDeque::new(), VecDeque::new()];
    for step in input.chunks_exact(2) {
        let (which, amount) = (usize::from(step[0] & 1), usize::from(step[1] % 40));
        let ring = &mut rings[which];
        let model = &mut models[which];
        let mut bytes = ring.over(&mut storages[which]);
        match step[0] >> 1 & 7 {
            0 | 1 => {
                let data: Vec<u8> = (0..amount).map(|n| step[1].wrapping_add(n as u8)).collect();
                let count = bytes.write(&data);
                assert_eq!(count, amount.min(capacity - model.len()));
                model.extend(&data[..count]);
            }
            2 => {
                let mut data = vec![0; amount];
                let count = bytes.read(&mut data);
                let expected: Vec<u8> = model.drain(..amount.min(model.len())).collect();
                assert_eq!(data[..count], expected);
            }
            3 => drop(model.drain(..bytes.skip(amount))),
            4 => assert_eq!(bytes.contiguous(), model.make_contiguous()),
            5 => assert_eq!(bytes.find(step[1], 0), model.iter().position(|byte| *byte == step[1])),
            6 => {
                let [first, second] = &mut rings;
                if exchange(second, first) > 0 {
                    storages.swap(0, 1);
                    models.swap(0, 1);
                }
            }
            _ => {
                let [first, second] = &mut rings;
                let [one, two] = &mut storages;
                let count = second.over(two).splice(&mut first.over(one), amount);
                let moved: Vec<u8> = models[0].drain(..count).collect();
                models[1].extend(moved);
            }
        }
        for (ring, model) in rings.iter().zip(&models) {
            assert!(ring.is_valid() && ring.len() == model.len());
        }
    }
});
