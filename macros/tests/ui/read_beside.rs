use std::io;
use vk::{Io, Plain};

#[vk::coroutine]
fn bump(io: &mut Io, place: &mut u64, index: &mut usize) -> io::Result<()> {
    *index = (*index + 1) % 3;
    io.flush()?;
    *place += 10;
    Ok(())
}

#[vk::coroutine]
fn look(io: &mut Io, seen: &u64, changed: &mut u64) -> io::Result<()> {
    *changed = 0;
    io.flush()?;
    writeln!(io, "{seen}")
}

#[vk::coroutine]
fn bytes(io: &mut Io, seen: &[u8], _changed: &mut u64) -> io::Result<()> {
    io.write_all(seen)
}

#[vk::coroutine]
fn options(io: &mut Io, seen: &[u8], _changed: &mut Option<[u8; 2]>) -> io::Result<()> {
    io.write_all(seen)
}

#[vk::coroutine]
fn less(io: &mut Io, _n: u64, changed: &mut u64) -> io::Result<()> {
    *changed = 0;
    io.flush()
}

#[vk::coroutine]
fn by_index(io: &mut Io) -> io::Result<()> {
    let mut words: [u64; 3] = [0; 3];
    let mut i: usize = 0;
    bump(io, &mut words[i], &mut i)?;
    io.flush()
}

#[vk::coroutine]
fn by_reference(io: &mut Io, at: &mut usize) -> io::Result<()> {
    let mut words: [u64; 3] = [0; 3];
    bump(io, &mut words[*at], at)
}

#[vk::coroutine]
fn computed(io: &mut Io) -> io::Result<()> {
    let mut a: u64 = 4;
    look(io, &(a ^ 1), &mut a)?;
    let mut pair: Option<[u8; 2]> = None;
    options(io, pair.unwrap_or([0; 2]).as_slice(), &mut pair)?;
    bytes(io, a.to_be_bytes().as_slice(), &mut a)?;
    less(io, a - 1, &mut a)
}

#[vk::coroutine]
fn own_index(io: &mut Io) -> io::Result<()> {
    let mut bytes: [u8; 9] = [4; 9];
    io.read_exact(&mut bytes[..bytes[0] as usize])
}

#[derive(Plain)]
struct Cell {
    words: [u64; 3],
    turn: usize,
    a: u64,
}

#[vk::coroutine]
impl Cell {
    fn fields(&mut self, io: &mut Io) -> io::Result<()> {
        bump(io, &mut self.words[self.turn], &mut self.turn)?;
        self.step(io, self.a - 1)
    }

    fn step(&mut self, io: &mut Io, _n: u64) -> io::Result<()> {
        self.a = 0;
        io.flush()
    }
}

fn main() {}
