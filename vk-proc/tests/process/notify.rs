//! A service manager's socket.

use crate::{PASSED, again, is_alone};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use vk_proc::notify::Notifier;

/// Runs the test of that name with this socket as its manager's; returns what it was told.
fn told(test: &str, manager: &UnixDatagram, name: &str) -> Vec<String> {
    manager.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let status = again(test).env("NOTIFY_SOCKET", name).status().unwrap();
    assert_eq!(status.code(), Some(PASSED));
    let mut buffer = [0; 256];
    let messages =
        std::iter::from_fn(|| manager.recv(&mut buffer).ok().map(|count| buffer[..count].to_vec()));
    messages.map(|message| String::from_utf8(message).unwrap()).collect()
}

fn tell() {
    let notifier = Notifier::from_env().expect("the variable is set");
    notifier.ready();
    notifier.reloading();
    notifier.stopping();
    // As a build does that is executed in this process's place.
    Notifier::from_env().expect("the variable is still set").ready();
    std::process::exit(PASSED);
}

fn check(told: &[String]) {
    let reloading = told[1].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("it says when");
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let seconds = reloading.parse::<u64>().unwrap() as f64 / 1e6;
    assert!((uptime - seconds).abs() < 30.0, "{seconds} s of {uptime} s");
    assert_eq!([&told[0], &told[2], &told[3]], ["READY=1", "STOPPING=1", "READY=1"]);
    assert_eq!(told.len(), 4);
}

#[test]
fn by_a_path() {
    if is_alone() {
        tell();
    }
    let path = std::env::temp_dir().join(format!("vk-notify-{}", std::process::id()));
    let manager = UnixDatagram::bind(&path).unwrap();
    let told = told("notify::by_a_path", &manager, path.to_str().unwrap());
    std::fs::remove_file(path).unwrap();
    check(&told);
}

#[test]
fn by_an_abstract_address() {
    if is_alone() {
        tell();
    }
    let name = format!("vk-notify-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    check(&told("notify::by_an_abstract_address", &manager, &format!("@{name}")));
}

/// A manager that reads nothing, or has gone, holds nobody up.
#[test]
fn nobody_listens() {
    if is_alone() {
        let notifier = Notifier::from_env().expect("the variable is set");
        (0..10_000).for_each(|_| notifier.ready());
        std::process::exit(PASSED);
    }
    let name = format!("vk-nobody-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    assert!(!told("notify::nobody_listens", &manager, &format!("@{name}")).is_empty());
    drop(manager);
    let status = again("notify::nobody_listens").env("NOTIFY_SOCKET", format!("@{name}")).status().unwrap();
    assert_eq!(status.code(), Some(PASSED));
}
