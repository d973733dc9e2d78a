#[vk::coroutine]
fn control(io: &mut Io, n: u32) -> io::Result<u32> {
    let mut total: u32 = 0;
    let kind: u32 = 'outer: loop {
        match next(io)? {
            Some(n) if n > 9 => {
                let n: u32 = n;
                wait(io, n)?;
            }
            Some(0) => continue,
            Some(n) => break n,
            None => break 'outer n,
        }
        total += if total > 3 && io.eof()? { 1 } else { total };
    };
    let Some(limit) = limit(kind) else {
        io.write_all(b"no limit")?;
        return Ok(0);
    };
    let limit: u32 = limit;
    for byte in b"abc" {
        let byte: u8 = *byte;
        io.write_all(&[byte])?;
    }
    if check(total) || confirm(io, total)? && !confirm(io, limit)? {
        io.flush()?;
    }
    let text = format!("{total} of {limit}");
    Ok(text.len() as u32)
}
