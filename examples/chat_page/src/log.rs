//! What was said, in a file that only grows: `SPEAKER NUMBER TEXT` on each line.
//!
//! Everything here is ordinary code between two blocking calls. No descriptor stays open meanwhile.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
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
}

impl Place {
    /// Of somebody who has just come.
    pub fn at_the_end() -> Place {
        Place { position: length(), speaker: RandomState::new().hash_one(0), said: 0 }
    }

    /// Reads the next text; false if there is none yet.
    pub fn read(&mut self, line: &mut Line) -> io::Result<bool> {
        if length() <= self.position {
            return Ok(false);
        }
        let mut bytes = [0; LINE];
        let count = File::open(path())?.read_at(&mut bytes, self.position)?;
        let Some(end) = bytes[..count].iter().position(|byte| *byte == b'\n') else { return Ok(false) };
        self.position += end as u64 + 1;
        line.clear();
        let text = bytes[..end].splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default();
        line.extend(text).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(true)
    }

    /// Writes a text down, once: if the worker is killed before what this changes is settled, it happens again in the
    /// next one, and finds the line where it left it.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.said += 1;
        let mark = format!("{} {} ", self.speaker, self.said);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path())?;
        let mut unread = Vec::new();
        file.seek(SeekFrom::Start(self.position))?;
        file.read_to_end(&mut unread)?;
        if unread.split(|byte| *byte == b'\n').any(|line| line.starts_with(mark.as_bytes())) {
            return Ok(());
        }
        let text = text.replace(char::is_control, " ");
        file.write_all(format!("{mark}{text}\n").as_bytes())
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
