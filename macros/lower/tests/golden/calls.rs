#[vk::coroutine]
fn numbers<'a, T: Plain + From<u8>>(io: &mut Io, mut count: usize, list: &'a mut [T]) -> io::Result<&'a [T]>
where
    T: Copy,
{
    io.deadline(Duration::from_secs(5))?;
    for place in 0..count {
        let place: usize = place;
        let value: u8 = http::number(io, &mut count)? + 1;
        list[place] = value.into();
        write!(io, "{value} of {count}\n")?;
    }
    Ok(list)
}

#[vk::coroutine]
impl<const N: usize> Session<N> {
    fn new() -> Self {
        Session { lines: 0 }
    }

    /// Answers one request.
    pub fn handle(&mut self, io: &mut Io, limit: u32) -> Option<u32> {
        let request: Request = self.read(io)?;
        self.lines += 1;
        if self.lines > limit || !request.more(io)? {
            return None;
        }
        Some(self.lines)
    }

    fn read(&mut self, io: &mut Io) -> Option<Request> {
        Self::skip(self, io);
        Some(Request::of(io.read_line(&mut self.line).ok()?))
    }

    fn skip(&self, io: &mut Io) {
        let _ = io.skip(2);
    }
}
