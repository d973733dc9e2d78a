use crate::{echo, pid, run, stand_in, vk};
use std::fs::{self, File};
use vk_try::{SIGKILL, eventually};

#[test]
fn the_exit_status_says_who_serves() {
    let keeper = stand_in(&["reload", "refuse", "reload"]);
    let pid = pid(&keeper);
    let refused =
        format!("vk: keeper {pid} has refused the new build, its log says why; the old one serves on\n");
    assert_eq!(run(&["reload", &pid]), (Some(0), String::new()));
    assert_eq!(run(&["reload", &pid]), (Some(1), refused));
    assert_eq!(run(&["reload", &pid]), (Some(0), String::new()));
}

#[test]
fn a_keeper_that_does_not_answer_is_not_waited_for_for_ever() {
    let keeper = stand_in(&["ignore"]);
    let pid = pid(&keeper);
    let said = format!("vk: keeper {pid} has not answered within 1s\n");
    assert_eq!(run(&["reload", &pid, "--timeout", "1"]), (Some(1), said));
}

#[test]
fn a_keeper_that_dies_is_not_waited_for() {
    let keeper = stand_in(&["ignore"]);
    let mut vk = vk(&["reload", &pid(&keeper)]);
    eventually("the keeper is told", || keeper.log().contains("ignored"));
    keeper.process().signal(SIGKILL);
    assert_eq!(vk.wait().code(), Some(1));
    assert_eq!(vk.log(), format!("vk: keeper {} has ended\n", pid(&keeper)));
}

#[test]
fn nobody_else_is_signalled() {
    // Whoever is signalled by mistake dies of it: this test, too.
    let own = std::process::id().to_string();
    assert_eq!(run(&["reload", &own]), (Some(1), format!("vk: process {own} is no keeper\n")));
    for nobody in ["4294967295", "2147483647"] {
        let said = format!("vk: there is no process {nobody}\n");
        assert_eq!(run(&["reload", nobody]), (Some(1), said));
    }
    for wrong in ["-1", "0x1", "4294967296", "", "init"] {
        assert_eq!(run(&["reload", wrong]).0, Some(1), "{wrong:?}");
    }
}

#[test]
fn a_control_page_that_is_none_is_refused() {
    let garbage = stand_in(&["garbage"]);
    let (status, said) = run(&["reload", &pid(&garbage)]);
    assert_eq!(status, Some(1));
    assert!(said.contains("can't be looked at: a control page of another version"), "{said}");
    assert!(!garbage.log().contains("ignored"));
    assert_eq!(run(&["ps", &pid(&garbage)]).0, Some(1));
}

#[test]
fn a_reader_of_a_control_page_has_none() {
    let keeper = stand_in(&["reload"]);
    let descriptors = fs::read_dir(format!("/proc/{}/fd", pid(&keeper))).expect("our child");
    let page = descriptors.map(|entry| entry.expect("our child").path()).find(|path| {
        let link = fs::read_link(path).expect("our child's descriptors stay");
        link.starts_with("/memfd:vk-control (deleted)")
    });
    // This process is the keeper's parent, and would be taken for the keeper's keeper.
    let _looking = File::open(page.expect("it has one")).expect("ours");
    assert_eq!(run(&["reload", &pid(&keeper)]), (Some(0), String::new()));
}

#[test]
fn a_worker_names_its_keeper() {
    let app = echo("1");
    let workers = || app.process().children().iter().flat_map(|holder| holder.children()).collect::<Vec<_>>();
    eventually("a worker", || !workers().is_empty());
    let worker = workers()[0].0;
    let said = format!("vk: process {worker} is a worker: its keeper is {}\n", pid(&app));
    assert_eq!(run(&["reload", &worker.to_string()]), (Some(1), said));
}

#[test]
fn who_serves_alone_is_not_reloaded() {
    let app = echo("0");
    let shown = || run(&["reload", &pid(&app), "--timeout", "1"]);
    let said = format!("vk: process {} serves without a keeper: nobody can reload it\n", pid(&app));
    eventually("it has shown itself", || shown() == (Some(1), said.clone()));
    assert!(app.process().is_alive());
}
