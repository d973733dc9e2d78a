//! A keeper without workers: it answers each SIGHUP with the next of its arguments, `reload`, `refuse` or `ignore`,
//! and says on standard error when it can be signalled. As first argument, `end:N`: it ends at once, with status N;
//! `garbage`: its control page is none.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;
use vk_proc::control::Control;
use vk_proc::signals;

fn main() -> ExitCode {
    let mut answers = std::env::args().skip(1).peekable();
    if let Some(status) = answers.peek().and_then(|first| first.strip_prefix("end:")) {
        return ExitCode::from(status.parse::<u8>().expect("a status"));
    }
    signals::block().expect("signals can be blocked");
    let descriptor = signals::descriptor(&[]).expect("a descriptor");
    let control = Control::new(2).expect("memory");
    if answers.next_if_eq("garbage").is_some() {
        let path = format!("/proc/self/fd/{}", control.memfds()[0]);
        let mut file = File::options().write(true).open(path).expect("our own descriptor");
        file.write_all(&[0xff; 4096]).expect("memory");
    }
    eprintln!("ready");
    loop {
        match signals::next(&descriptor) {
            None => sleep(Duration::from_millis(5)),
            Some(1) => match answers.next().as_deref() {
                Some("reload") => control.count_reload(),
                Some("refuse") => control.count_refused(),
                _ => eprintln!("ignored"),
            },
            Some(signal) => {
                eprintln!("signal {signal}");
                return ExitCode::from(40 + signal as u8);
            }
        }
    }
}
