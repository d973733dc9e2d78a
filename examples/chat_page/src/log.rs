//! What was said, in a file that only grows: `SPEAKER NUMBER TEXT` on each line.
//!
//! Everything here is ordinary code between two blocking calls. No descriptor stays open meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use vk::Plain;

/// Bytes of the longest text.
pub const LONGEST: usize = 1000;

/// Bytes of the longest line: two numbers of at most 20 characters stand before the text.
const LINE: usize = 20 + 1 + 20 + 1 + LONGEST + 1;

/// A text.
pub type Line = vk::Line<LONGEST>;

/// How far one person has read, and what they have said.
#[derive(Debug, Plain)]
pub struct Place {
    /// Where the next line begins.
    position: u64,
    /// Who they are.
    speaker: u64,
    /// How much they have said.
    said: u64,
    /// How much of it is written down before the position. More than they have said, if a worker was killed before what
    /// it had heard and written was settled: then the next one hears it again.
    written: u64,
}

impl Place {
    /// Of somebody who has just come.
    pub fn at_the_end() -> io::Result<Place> {
        // From the kernel: workers are forks of one process, with what that has of randomness.
        let mut speaker = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut speaker)?;
        Ok(Place { position: length(), speaker: u64::from_ne_bytes(speaker), said: 0, written: 0 })
    }

    /// Reads the next text; false if there is none yet.
    pub fn read(&mut self, text: &mut Line) -> io::Result<bool> {
        if length() <= self.position {
            return Ok(false);
        }
        let mut bytes = [0; LINE];
        let count = File::open(path())?.read_at(&mut bytes, self.position)?;
        let Some(end) = bytes[..count].iter().position(|byte| *byte == b'\n') else { return Ok(false) };
        self.position += end as u64 + 1;
        if let Some(number) = self.number(&bytes[..end]) {
            self.written = number;
        }
        text.clear();
        let said = bytes[..end].splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default();
        text.extend(said).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(true)
    }

    /// Writes a text down, once.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.said += 1;
        if self.said <= self.written {
            return Ok(());
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path())?;
        let mut unread = Vec::new();
        file.seek(SeekFrom::Start(self.position))?;
        file.read_to_end(&mut unread)?;
        if unread.split(|byte| *byte == b'\n').any(|line| self.number(line) == Some(self.said)) {
            return Ok(());
        }
        let text = text.replace(char::is_control, " ");
        file.write_all(format!("{} {} {text}\n", self.speaker, self.said).as_bytes())
    }

    /// The number of a line that they have said.
    fn number(&self, line: &[u8]) -> Option<u64> {
        let mut words = str::from_utf8(line).ok()?.splitn(3, ' ');
        let speaker: u64 = words.next()?.parse().ok()?;
        let number = words.next()?.parse().ok()?;
        (speaker == self.speaker).then_some(number)
    }
}

/// The file.
fn path() -> &'static str {
    vk::args().first().map_or("chat.log", String::as_str)
}

/// Its bytes; none before somebody has said something.
fn length() -> u64 {
    std::fs::metadata(path()).map_or(0, |file| file.len())
}
