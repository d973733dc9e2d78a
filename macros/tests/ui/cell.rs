use std::cell::Cell;
use std::io;
use vk::Io;

struct State {
    at: Cell<u32>,
}

#[vk::coroutine]
fn advance(io: &mut Io, state: &State, by: &u32, plus: u32) -> io::Result<u32> {
    state.at.set(state.at.get() + by + plus);
    io.flush()?;
    Ok(state.at.get())
}

#[vk::coroutine]
fn f(io: &mut Io, state: &State, word: &Cell<[u8; 2]>) -> io::Result<()> {
    let sum: u32 = state.at.get() + advance(io, state, &1, 1)?;
    advance(io, state, &state.at.get(), sum)?;
    advance(io, state, &1, state.at.get() - 1)?;
    write!(io, "{}", state.at.get())?;
    for byte in &word.get() {
        let byte: u8 = *byte;
        io.write_all(&[byte])?;
    }
    Ok(())
}

fn main() {}
