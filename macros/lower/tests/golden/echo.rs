/// Echoes each line until the client hangs up.
#[vk::coroutine]
pub fn echo(io: &mut Io) -> io::Result<()> {
    let mut line: Line<1024> = Line::new();
    while io.read_line(&mut line)? {
        io.write(&line)?;
        io.flush()?;
    }
    Ok(())
}
